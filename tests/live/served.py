"""Runs a program of `tests/simulate/program` on real servers: a primary and a replica."""

from __future__ import annotations

import time
from typing import Any

from pymysql.constants import COMMAND

import rwsplit.err
from rwsplit._core.flavors.positions import POSITION_SQL
from rwsplit._core.flavors.trackers import TRACK_PRIMARY, track_replica
from rwsplit._core.tracking import parse_tails
from rwsplit._drivers.pymysql import PhysicalConnection, fault_of
from tests.simulate.program import (
    ORDERS,
    REPLICA,
    Answer,
    Gtids,
    Step,
    answer_of,
    failure_of,
    sql_of,
)
from tests.simulate.table import ROWS

__all__ = ["Served"]

_RESET_CONNECTION = 0x1F
_SCHEMAS = ("s0", "s1", "s2")
_ROWS = ", ".join(f"({row}, 0)" for row in range(1, ROWS + 1))
_PROCEDURE = (
    "CREATE PROCEDURE p(v INT, r INT) SQL SECURITY INVOKER BEGIN "
    "UPDATE shop.t SET shop.t.v = v WHERE shop.t.id = r; COMMIT; "
    "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'it was signalled'; END"
)
_TRIGGER = (
    "CREATE TRIGGER now_and_then BEFORE UPDATE ON t FOR EACH ROW "
    "IF NEW.v % 4 = 0 THEN SET @w = NEW.v; END IF"
)


class Served:
    """The servers' side."""

    def __init__(self, cluster: Any) -> None:
        self._cluster, self.flavor = cluster, cluster.flavor
        self._primary, self._replica = cluster.primary, cluster.replicas[0]
        self._admin = cluster.admin(self._primary, database="shop").cursor()
        self._there = cluster.admin(self._replica).cursor()
        self._sessions: dict[int, PhysicalConnection] = {}
        self._applies = True
        for name in _SCHEMAS:
            cluster.create_database(name)
        self._do("DROP PROCEDURE IF EXISTS p", "DROP TABLE IF EXISTS t", "SET autocommit = 1")
        self._do("CREATE TABLE t (id INT PRIMARY KEY, v INT) ENGINE = InnoDB", _TRIGGER, _PROCEDURE)
        for name in _SCHEMAS:
            self._do(f"CREATE VIEW {name}.t AS SELECT * FROM shop.t")
            self._do(f"CREATE PROCEDURE {name}.{_PROCEDURE[len('CREATE PROCEDURE ') :]}")
        number = "@@server_uuid" if self.flavor == "mysql" else "@@GLOBAL.server_id"
        self._source = str(self._ask_admin(f"SELECT {number}"))

    def close(self) -> None:
        """Leave nothing behind."""
        self._leave()
        for name in _SCHEMAS:
            self._cluster.drop_database(name)
        self._do("DROP PROCEDURE p", "DROP TABLE t")
        self._admin.connection.close()
        self._there.connection.close()

    def _do(self, *statements: str) -> None:
        for sql in statements:
            self._admin.execute(sql)

    def _ask_admin(self, sql: str) -> Any:
        self._admin.execute(sql)
        return self._admin.fetchone()[0]

    def _told(self, cursor: Any) -> str:
        role = "replica" if cursor is self._there else "primary"
        cursor.execute(POSITION_SQL[role][self.flavor])
        (text,) = cursor.fetchone()
        return str(text.decode() if isinstance(text, bytes) else text)

    # A program begins and ends.

    def begin(self) -> None:
        """Have the rows, and nobody connected."""
        self._leave()
        self._do("BEGIN", "DELETE FROM t", f"INSERT INTO t VALUES {_ROWS}", "COMMIT")
        told = self._told(self._admin)
        if self.flavor == "mariadb":
            base = int(told.rpartition("-")[2])
        else:
            (own,) = [each for each in told.replace("\n", "").split(",") if self._source in each]
            base = int(own.replace(":", "-").rpartition("-")[2])
        self._gtids = Gtids(self.flavor, self._source, base)
        self._catch_up()

    def _leave(self) -> None:
        for connection in self._sessions.values():
            self._end(connection)
        self._sessions.clear()
        self._promote(0)
        self._start(0)

    def _end(self, connection: PhysicalConnection) -> None:
        """End a session: its locks are gone behind that."""
        thread = connection.thread_id()
        admin = self._there if connection.port == self._replica.port else self._admin
        connection.kill_socket()
        self._kill_thread(admin, thread)

    def _kill_thread(self, admin: Any, thread: int) -> None:
        try:
            admin.execute(f"KILL {thread}")
        except rwsplit.err.MySQLError:
            return  # it has noticed by itself
        until = time.monotonic() + 10
        sql = f"SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = {thread}"
        while time.monotonic() < until:
            admin.execute(sql)
            if admin.fetchone() == (0,):
                return

    def _catch_up(self) -> None:
        if self._applies:
            wait = "WAIT_FOR_EXECUTED_GTID_SET" if self.flavor == "mysql" else "MASTER_GTID_WAIT"
            self._there.execute(f"SELECT {wait}(%s, 10)", (self._told(self._admin),))
            assert self._there.fetchone() == (0,), "the replica does not catch up"

    # Steps.

    def run(self, step: Step) -> Answer:
        """Run one step; behind it, everything that has to happen has happened."""
        if step.what in ORDERS:
            getattr(self, f"_{step.what.lower()}")(step.who)
            answer = Answer()
        else:
            answer = self._ask(step)
        self._catch_up()
        told = self._told(self._there if step.who == REPLICA else self._admin)
        return answer._replace(position=self._gtids.numbers(told))

    def _session(self, who: int) -> PhysicalConnection:
        connection = self._sessions.get(who)
        if connection is None:
            options = {**self._cluster.connect_options, "autocommit": None}
            del options["replicas"]
            if who == REPLICA:
                options["port"] = self._replica.port
            connection = self._sessions[who] = PhysicalConnection(None, **options)
            self._set_up(who, connection)
        return connection

    def _set_up(self, who: int, connection: PhysicalConnection) -> None:
        """Let it track as rwsplit's connections do; no lock is to be waited for."""
        first = (
            "SET SESSION innodb_lock_wait_timeout = 1,group_concat_max_len = 1024",
            "SET NAMES utf8mb4",
        )
        tracks = [*TRACK_PRIMARY[self.flavor]]
        if who == REPLICA:
            tracks = [track_replica(self.flavor, ""), "SET SESSION TRANSACTION READ ONLY"]
        fresh = "SELECT 1 LIMIT 0" if self.flavor == "mysql" else "SELECT 1"
        for reply in connection.ask_all([*first, "USE shop", fresh, *tracks]):
            if isinstance(reply, Exception):
                raise reply
        connection.tails.clear()

    def _ask(self, step: Step) -> Answer:
        connection = self._session(step.who)
        connection.tails.clear()
        rows, affected = None, 0
        word, *rest = step.what.split()
        try:
            if word in ("PING", "INIT"):
                command = COMMAND.COM_PING if word == "PING" else COMMAND.COM_INIT_DB
                connection._execute_command(command, rest[0] if rest else "")
                status = connection._read_ok_packet().server_status
            else:
                (reply,) = connection.ask_all([sql_of(step, self.flavor, self._gtids)])
                if isinstance(reply, Exception):
                    raise reply
                rows, affected, status = reply.rows, reply.affected_rows, reply.server_status
        except rwsplit.err.MySQLError as error:
            fault = fault_of(error)
            if fault.is_lost:
                connection.kill_socket()
                del self._sessions[step.who]
            return failure_of(fault)
        return answer_of(self._gtids, rows, affected, status, parse_tails(connection.tails))

    def _kill(self, who: int) -> None:
        admin = self._there if who == REPLICA else self._admin
        self._kill_thread(admin, self._session(who).thread_id())

    def _reset(self, who: int) -> None:
        connection = self._session(who)
        try:
            connection._execute_command(_RESET_CONNECTION, "")
            connection._read_ok_packet()
        except rwsplit.err.MySQLError:
            del self._sessions[who]  # it was killed
        else:
            self._set_up(who, connection)

    def _demote(self, who: int) -> None:
        self._do("SET GLOBAL read_only = ON")

    def _promote(self, who: int) -> None:
        self._do("SET GLOBAL read_only = OFF")

    def _stop(self, who: int) -> None:
        if self._applies:
            self._cluster.stop_applier(self._replica)
        self._applies = False

    def _start(self, who: int) -> None:
        if not self._applies:
            self._cluster.start_applier(self._replica)
        self._applies = True
