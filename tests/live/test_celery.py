"""Tasks of Celery read what had been written when they were published."""

import itertools
import threading
from functools import partial

import pytest

import rwsplit
from rwsplit._core.cluster.position import decode
from rwsplit._shell import process

celery = pytest.importorskip("celery")
pytestmark = pytest.mark.filterwarnings("ignore")

from celery import chain, chord, signals  # noqa: E402
from celery.contrib.testing.worker import start_worker  # noqa: E402
from celery.exceptions import ImproperlyConfigured  # noqa: E402

import rwsplit.celery as ours  # noqa: E402

SECONDS = 30

app = celery.Celery("shop", broker="memory://", backend="cache+memory://", set_as_current=False)
app.conf.update(
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"polling_interval": 0.02},
)
connecting = {}


def there(**options):
    """A connection of the worker's."""
    return connecting["here"](**options)


def alone():
    """One that sees nothing but what it is told to."""
    return there(session_id_kind="connection", after=None)


def write(connection, key, value=1):
    connection.cursor().execute("REPLACE INTO t VALUES (%s, %s)", (key, value))


def read(connection, key):
    cursor = connection.cursor()
    cursor.execute("SELECT v FROM t WHERE id = %s", (key,))
    row = cursor.fetchone()
    return row and row[0], cursor.route.role


@app.task(bind=True, name="show")
def show(self, key):
    with alone() as connection:
        return (*read(connection, key), self.request.retries, rwsplit.current_scope().position)


@app.task(name="show all")
def show_all(_, keys):
    with alone() as connection:
        return [read(connection, key)[0] for key in keys]


@app.task(name="change")
def change(key):
    with there() as connection:
        write(connection, key)
        return rwsplit.current_scope().position


@app.task(name="change and retry", bind=True, default_retry_delay=0)
def change_and_retry(self, key):
    with there() as connection:
        write(connection, key + self.request.retries)
        if self.request.retries < 2:
            raise self.retry()


@app.task(name="fail")
def fail():
    raise ValueError(rwsplit.current_scope().position)


@app.task(name="at once")
def at_once(key):
    with there() as connection:
        write(connection, key)
    return rwsplit.current_scope()


@app.task(bind=True, base=ours.Task, rwsplit_wait=float(SECONDS))
def wait(self, key):
    return show.run.__func__(self, key)


@app.task(bind=True, base=ours.Task, rwsplit_wait=0.05, rwsplit_retry=0.2, max_retries=None)
def retry(self, key):
    return show.run.__func__(self, key)


@app.task(bind=True, base=ours.Task, rwsplit_wait=0.01, rwsplit_retry=0, max_retries=2)
def retry_twice(self, key):
    return show.run.__func__(self, key)


@pytest.fixture(scope="module")
def working():
    """A worker, in a thread of this process."""
    ours.install()

    def leave_it(**_):
        """Celery would set the levels of everybody's loggers."""

    signals.setup_logging.connect(leave_it)
    with start_worker(app, pool="solo", perform_ping_check=False):
        yield
    signals.setup_logging.disconnect(leave_it)
    ours.uninstall()
    app.close()


@pytest.fixture
def here(no_others, connect, table, cluster, working):
    """The publisher's connection; how late replicas were in earlier tests is forgotten."""
    options = {**cluster.connect_options, "autocommit": True}
    connecting["here"] = partial(rwsplit.connect, **options)
    ours.install(there)
    yield connect()
    ours.install()


@pytest.fixture
def sent():
    """What the messages that are published say, by the names of their tasks."""
    found = []

    def note(sender=None, headers=None, **_):
        found.append((sender, headers.get(ours.HEADER)))

    signals.after_task_publish.connect(note, weak=False)
    yield found
    signals.after_task_publish.disconnect(note)


def stall(cluster):
    for replica in cluster.replicas:
        cluster.stall(replica)


def resume(cluster):
    for replica in cluster.replicas:
        cluster.resume(replica)


def test_a_task_reads_what_was_written_before_it_was_published(here, cluster, sent):
    cluster.stall(cluster.replicas[0])
    roles = []
    for key in range(20):
        with rwsplit.scope() as scope:
            write(here, key, key)
            asked = show.delay(key)
            position = scope.position
        value, role, _, seen = asked.get(SECONDS, interval=0.02)
        assert value == key, key
        assert sent[-1] == ("show", position)
        assert decode(seen).covers(decode(position))
        roles.append(role)
    print(f"{roles.count('replica')} of {len(roles)} reads on replicas")
    assert roles.count("replica") >= 15


def test_without_a_scope_it_reads_what_its_process_had_committed(here, cluster, sent, monkeypatch):
    stall(cluster)
    with rwsplit.scope() as scope:
        write(here, 1, 5)
        position = scope.position
    # Of both flavors, which one text can't hold, only where both are tested.
    monkeypatch.setattr(process, "_positions", {1: here.cluster.process})
    assert show.delay(1).get(SECONDS, interval=0.02)[0] == 5
    assert decode(sent[0][1]).covers(decode(position))
    here.cluster.process.doubt(unsure=False)
    write(here, 1, 6)
    assert show.delay(1).get(SECONDS, interval=0.02)[0] == 6
    assert sent[1][1] == "global"


def test_a_task_does_not_inherit_what_others_did(here, cluster):
    with rwsplit.scope() as scope:
        write(here, 1)
        before = scope.position
        asked = [change.delay(2), fail.delay(), show.delay(1), fail.delay()]
        assert asked[0].get(SECONDS, interval=0.02) != before
        assert asked[2].get(SECONDS, interval=0.02)[3] == before
        for failing in asked[1], asked[3]:
            with pytest.raises(ValueError, match=f"^{before}$"):
                failing.get(SECONDS, interval=0.02)


def test_a_retry_and_what_follows_carry_all_on(here, cluster, sent):
    stall(cluster)
    with rwsplit.scope():
        write(here, 1)
        done = chain(change_and_retry.s(10), show_all.s([1, 10, 11, 12]))()
        assert done.get(SECONDS, interval=0.02) == [1, 1, 1, 1]
    names, positions = zip(*sent, strict=True)
    assert names == ("change and retry",) * 3 + ("show all",)
    for before, after in itertools.pairwise(positions):
        assert after != before
        assert decode(after).covers(decode(before))


def test_what_ends_a_chord_sees_all_that_its_tasks_wrote(here, cluster, sent):
    stall(cluster)
    with rwsplit.scope() as scope:
        write(here, 1)
        position = scope.position
        done = chord([change.s(2), change.s(3)])(show_all.s([1, 2, 3]))
        assert done.get(SECONDS, interval=0.02) == [1, 1, 1]
    said = dict(sent)
    assert said["change"] == position
    assert said["show all"] == "global"


def test_a_task_that_runs_at_once_is_in_the_scope_of_who_asks(here):
    with rwsplit.scope() as scope:
        assert at_once.apply((1,)).get() is scope
        assert scope.wrote
        app.conf.task_always_eager = True
        try:
            assert at_once.delay(2).get() is scope
        finally:
            app.conf.task_always_eager = False
        assert at_once(3) is scope
    assert at_once.apply((4,)).get() is None


@pytest.mark.parametrize(
    "header",
    ["junk", "", 5, ["my"], "my1." + "9" * 5000, "\n", "ma1.0-4000000000-99999999999"],
    ids=lambda header: repr(header)[:12],
)
def test_what_a_message_says_is_read_with_distrust(header, here, cluster):
    write(here, 1, 5)
    cluster.wait_caught_up()
    # Nothing is put in, so the worker is told what somebody has made up.
    publishing = ours._RECEIVERS[0]
    publishing[0].disconnect(publishing[1], dispatch_uid="rwsplit._before_publish")
    try:
        asked = [show.apply_async((1,), headers={ours.HEADER: header}) for _ in range(3)]
        assert [each.get(SECONDS, interval=0.02)[0] for each in asked] == [5, 5, 5]
    finally:
        ours.install(there)


def test_what_the_application_says_counts_too(here, sent):
    write(here, 1)
    position = here.position
    with rwsplit.scope() as scope:
        write(here, 2)
        for said in (position, "junk", "global"):
            show.apply_async((1,), headers={ours.HEADER: said}, queue="of nobody")
        joined = rwsplit.join_positions(position, scope.position)
    assert sent == [("show", joined), ("show", "global"), ("show", "global")]


def test_what_is_not_known_is_everything(here, sent):
    mysql = "my1.15013b37-eb5d-11f1-8119-02fc00000001.1-5"
    with rwsplit.scope(after="ma1.0-1-7"), rwsplit.scope(after=mysql):
        show.apply_async((1,), queue="of nobody")
    assert sent == [("show", "global")]


# While no replica has it.


def test_a_task_may_wait_for_a_replica(here, cluster):
    stall(cluster)
    with rwsplit.scope():
        write(here, 1, 7)
        asked = wait.delay(1)
    threading.Timer(0.5, resume, [cluster]).start()
    assert asked.get(SECONDS, interval=0.02)[:3] == [7, "replica", 0]


def test_a_task_may_be_retried_until_a_replica_has_it(here, cluster):
    stall(cluster)
    with rwsplit.scope():
        write(here, 1, 7)
        asked = retry.delay(1)
    threading.Timer(1.0, resume, [cluster]).start()
    value, role, retries, _ = asked.get(SECONDS, interval=0.02)
    assert (value, role) == (7, "replica")
    assert retries > 0


def test_after_the_last_retry_the_primary_answers(here, cluster):
    stall(cluster)
    with rwsplit.scope():
        write(here, 1, 7)
        asked = retry_twice.delay(1)
    assert asked.get(SECONDS, interval=0.02)[:3] == [7, "primary", 2]


def test_waiting_needs_a_connection(here):
    ours.install()
    write(here, 1, 7)
    with pytest.raises(ImproperlyConfigured, match="install"):
        wait.delay(1).get(SECONDS, interval=0.02)
