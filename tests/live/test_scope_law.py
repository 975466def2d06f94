"""Random programs of blocks on pooled connections: no read is older than its scope."""

import contextlib
import contextvars
import os
import random
import threading
import time

import pytest

import rwsplit

SECONDS = float(os.environ.get("RWSPLIT_TEST_SECONDS", "10"))
READ = "SELECT v FROM t WHERE id = 1"


class Program:
    """Does things at random, and knows what each read must see at least.

    The row's value grows with each commit, so that a value tells all that was committed before.
    """

    def __init__(self, connect, seed, kind):
        self.random = random.Random(seed)
        self.pool = [
            connect(session_id_kind=kind, on_lag=on) for on in ("primary",) * 2 + ("wait",)
        ]
        self.writer = connect(session_id="a stranger")
        self.shares_process = kind == "process"
        self.scopes = []
        """Those that are open, the innermost last."""
        self.roots = [{"floor": 0, "read": {}}]
        """What must be seen outside of all scopes, and in the outermost open one."""
        self.written = 0
        self.wrote = [0] * len(self.pool)
        """By connection, what it has written outside of all scopes, or in one."""
        self.ids = {"a": 0, "b": 0}
        """What was written under each session id."""
        self.carried = [("", 0)]
        self.log = []
        self.trouble = ""
        self.roles = set()

    def run(self, connection, sql, *args):
        with connection.cursor() as cursor:
            cursor.execute(sql, *args)
            return cursor.fetchone()

    def floor(self, index):
        root = self.roots[-1]
        floor = root["floor"] if self.scopes or self.shares_process else self.wrote[index]
        return max(floor, root["read"].get(index, 0))

    def commit(self, index=None):
        """Note that the next value is committed, here or by a stranger."""
        if index is None:
            return
        self.wrote[index] = self.written
        for root in self.roots:
            root["floor"] = max(root["floor"], self.written)

    def step(self):
        choice = self.random.choice
        action = choice(
            ["read"] * 8
            + ["write", "transaction", "rollback", "stranger", "enter", "leave", "thread", "wait"]
            + ["visit", "visit", "commit_within", "named", "named", "read_on_the_primary"]
        )
        index = self.random.randrange(len(self.pool))
        self.log.append((action, index))
        getattr(self, action)(index)

    def read(self, index):
        (value,) = self.run(self.pool[index], READ)
        role = self.pool[index].route.role
        self.roles.add(role)
        self.log.append(("it read", index, value, self.floor(index), role))
        assert value >= self.floor(index), "stale"
        for root in self.roots[:1] if not self.scopes else self.roots:
            # What was read in a scope binds the connection behind it, too.
            root["read"][index] = max(root["read"].get(index, 0), value)

    def next(self):
        self.written += 1
        return "UPDATE t SET v = %s WHERE id = 1", (self.written,)

    def write(self, index):
        self.run(self.pool[index], *self.next())
        self.commit(index)

    def transaction(self, index):
        connection = self.pool[index]
        connection.begin()
        self.run(connection, *self.next())
        connection.commit()
        self.commit(index)

    def visit(self, index):
        """Write or read in a scope of its own, and read behind it."""
        self.enter(index)
        self.random.choice([self.write, self.read])(index)
        self.leave(index)
        self.read(index)

    def commit_within(self, index):
        """Commit in a scope what was begun before it."""
        connection = self.pool[index]
        connection.begin()
        self.run(connection, *self.next())
        self.enter(index)
        connection.commit()
        self.commit(index)
        self.read((index + 1) % len(self.pool))
        self.leave(index)

    def read_on_the_primary(self, index):
        with rwsplit.using(reads="primary"):
            self.read(index)

    def named(self, index):
        """Be another session for a statement or two, in a scope of its own or not."""
        id_ = self.random.choice([*self.ids])
        scope = rwsplit.scope() if self.random.random() < 0.3 else contextlib.nullcontext()
        with rwsplit.session_id(id_), scope:
            for _ in range(self.random.randrange(1, 3)):
                if self.random.random() < 0.3:
                    self.run(self.pool[index], *self.next())
                    self.ids[id_] = self.written
                    for root in self.roots if self.shares_process else self.roots[1:]:
                        root["floor"] = self.written
                (value,) = self.run(self.pool[index], READ)
                floor = max(self.ids[id_], self.roots[-1]["floor"] if self.scopes else 0)
                self.log.append(("it read as", id_, index, value, floor))
                assert value >= floor, "stale"
                for root in self.roots[:1] if not self.scopes else self.roots:
                    root["read"][index] = max(root["read"].get(index, 0), value)

    def rollback(self, index):
        connection = self.pool[index]
        connection.begin()
        self.run(connection, "UPDATE t SET v = -1 WHERE id = 1")
        connection.rollback()

    def stranger(self, _):
        self.run(self.writer, *self.next())
        if self.shares_process:
            self.roots[0]["floor"] = self.written

    def enter(self, _):
        after, floor = self.random.choice(self.carried)
        scope = rwsplit.scope(after)
        scope.__enter__()
        if not self.scopes:
            self.roots.append({"floor": 0, "read": {}})
        root = self.roots[-1]
        root["floor"] = max(root["floor"], floor)
        self.scopes.append(scope)

    def leave(self, _):
        if self.scopes:
            position = self.scopes[-1].position
            if position:
                self.carried = [*self.carried[-3:], (position, self.roots[-1]["floor"])]
            self.scopes.pop().__exit__(None, None, None)
            if not self.scopes:
                self.roots.pop()

    def thread(self, index):
        context = contextvars.copy_context()

        def act():
            try:
                context.run(self.random.choice([self.read, self.write]), index)
            except BaseException as error:
                self.trouble = repr(error)

        thread = threading.Thread(target=act)
        thread.start()
        thread.join()
        assert not self.trouble

    def wait(self, _):
        time.sleep(self.random.choice([0.01, 0.1]))


@pytest.mark.parametrize("kind", ["process", "connection"])
def test_no_read_is_older_than_its_scope(cluster, connect, table, kind):
    with cluster.connect(cluster.primary) as primary:
        primary.cursor().execute("INSERT INTO t VALUES (1, 0)")
    cluster.wait_caught_up()
    for replica, seconds in zip(cluster.replicas, (0.05, 0.3), strict=True):
        cluster.delay(replica, seconds)
    until = time.monotonic() + SECONDS / 3
    seed = random.randrange(10**6)
    program = Program(connect, seed, kind)
    try:
        while time.monotonic() < until:
            program.step()
    except AssertionError as error:
        pytest.fail(f"seed {seed}: {error}: {program.log[-30:]}")
    finally:
        while program.scopes:
            program.leave(0)
    assert program.roles == {"primary", "replica"}
