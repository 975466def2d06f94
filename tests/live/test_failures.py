"""Servers fail while a workload runs: no read fails or is stale, no write runs twice."""

import contextlib
import threading
import time

import pytest

import rwsplit
from rwsplit.sandbox.pytest_plugin import FLAVORS
from tests.servers import servers_of_its_own

from .workload import Workload


def through(links, cluster, **overrides):
    """Keywords that lead to each server through its link."""
    _, *replicas = [f"127.0.0.1:{link.port}" for link in links]
    return {**cluster.connect_options, "port": links[0].port, "replicas": replicas, **overrides}


def name(server):
    return f"127.0.0.1:{server.port}"


@pytest.fixture
def links(cluster):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(cluster.link(server)) for server in cluster.servers]


@pytest.fixture(params=FLAVORS)
def own(request):
    """Servers of the test's own: their roles change."""
    with servers_of_its_own(request.param) as sandbox:
        yield sandbox


def full_share(work, endpoint):
    """Whether an endpoint has had its share of the last reads, of two replicas.

    Positions are not told on MariaDB, so that a connection stays where it was, unless a replica has
    come: then each chooses again, and four need not fall evenly.
    """
    counts = work.count(time.monotonic() - 0.3)
    least = 10 if work.threads[0].connection.cluster.flavor == "mariadb" else 4
    return counts.get(endpoint, 0) > sum(counts.values()) / least


SECONDS = 50.0
"""Ten times the aim."""


# Replicas.


def kill_and_restart_a_replica(cluster, **how):
    victim = cluster.replicas[0]
    with Workload(cluster.connect_options, **how) as work:
        work.wait_until(lambda: full_share(work, name(victim)))
        cluster.kill(victim)
        killed = time.monotonic()
        time.sleep(1)
        assert not work.count(killed + 0.2).get(name(victim))
        cluster.restart(victim)
        taken = work.wait_until(lambda: full_share(work, name(victim)), SECONDS)
        print(f"{cluster.flavor}: full share of reads {taken:.2f} s after its return (aim 5 s)")
    assert not work.refused()


def freeze_a_replica(cluster, **how):
    """Reads that wait for it are answered elsewhere once the monitor has missed it twice."""
    victim = cluster.replicas[0]
    with Workload(cluster.connect_options, **how) as work:
        work.wait_until(lambda: full_share(work, name(victim)))
        cluster.freeze(victim)
        frozen = time.monotonic()
        time.sleep(5)
        assert not work.count(frozen + 4).get(name(victim))
        assert all(
            [when for when, _ in thread.reads][-1] > frozen + 4 for thread in work.threads
        ), "a thread still waits"
        cluster.thaw(victim)
        work.wait_until(lambda: full_share(work, name(victim)), SECONDS)
        print(f"{cluster.flavor}: the slowest read took {work.slowest():.2f} s")
    assert not work.refused()


def test_a_replica_is_killed_and_comes_back(cluster):
    kill_and_restart_a_replica(cluster)


def test_a_replica_is_frozen(cluster):
    freeze_a_replica(cluster)


def test_a_replica_is_cut_off_without_a_word_and_then_refuses(cluster, links):
    victim = f"127.0.0.1:{links[1].port}"
    with Workload(through(links, cluster)) as work:
        work.wait_until(lambda: full_share(work, victim))
        links[1].blocked = True
        began = time.monotonic()
        time.sleep(4)
        assert not work.count(began + 3.5).get(victim)
        links[1].cut()
        time.sleep(0.5)
        links[1].mend()
        work.wait_until(lambda: full_share(work, victim), SECONDS)
    assert not work.refused()


def test_a_slow_replica_is_slow_and_not_lost(cluster, links):
    with Workload(through(links, cluster)) as work:
        links[1].seconds = 0.05
        began = time.monotonic()
        time.sleep(1.5)
        assert work.count(began + 0.5).get(f"127.0.0.1:{links[1].port}")
        links[1].seconds = 0.0


def test_a_replica_has_no_room_for_new_connections(cluster):
    """Those that it has work on; new ones go elsewhere."""
    victim = cluster.replicas[0]
    crowd = []
    with Workload(cluster.connect_options) as work, cluster.admin(victim) as admin:
        cursor = admin.cursor()
        cursor.execute("SELECT @@GLOBAL.max_connections")
        (before,) = cursor.fetchone()
        cursor.execute("SET GLOBAL max_connections = 20")
        try:
            with contextlib.suppress(rwsplit.OperationalError):
                while True:
                    crowd.append(cluster.connect(victim))
            began = time.monotonic()
            with rwsplit.connect(**cluster.connect_options, program_name="late") as late:
                for _ in range(20):
                    late.cursor().execute("SELECT * FROM work")
                    assert late.route.endpoint != name(victim)
            time.sleep(0.5)
            assert work.count(began).get(name(victim)), "its old connections are not used"
        finally:
            for connection in crowd:
                connection.close()
            cursor.execute(f"SET GLOBAL max_connections = {before}")
    assert not work.refused()


def test_a_replica_is_rebuilt_from_scratch(own):
    """It serves nobody until it has again what it had before."""
    victim = own.replicas[0]
    with Workload(own.connect_options) as work:
        work.wait_until(lambda: full_share(work, name(victim)))
        own.rebuild(victim, replicate=False)
        rebuilt = time.monotonic()
        time.sleep(2)
        assert not work.count(rebuilt).get(name(victim)), "an empty replica has served"
        own.replicate(victim)
        taken = work.wait_until(lambda: full_share(work, name(victim)), SECONDS)
        print(f"{own.flavor}: full share of reads {taken:.2f} s after it was rebuilt")


def test_a_stalled_replica_answers_and_is_not_asked(cluster):
    victim = cluster.replicas[0]
    with Workload({**cluster.connect_options, "consistency": "eventual"}, threads=1) as work:
        work.threads[0].violations.clear()
    with rwsplit.connect(**cluster.connect_options, autocommit=True) as writer:
        reader = rwsplit.connect(**cluster.connect_options, autocommit=True, consistency="eventual")
        cluster.stall(victim)
        until = time.monotonic() + 20
        while reader.cluster.servers[name(victim)].state(time.monotonic()) != "stalled":
            assert time.monotonic() < until
            writer.cursor().execute("UPDATE work SET v = v + 1 WHERE id = 0")
            reader.cursor().execute("SELECT v FROM work")
            time.sleep(0.05)
        for _ in range(10):
            reader.cursor().execute("SELECT v FROM work")
            assert reader.route.endpoint == name(cluster.replicas[1])
        assert reader.cluster.servers[name(victim)].behind > 1
        cluster.resume(victim)
        while reader.cluster.servers[name(victim)].state(time.monotonic()) != "usable":
            assert time.monotonic() < until
            reader.cursor().execute("SELECT v FROM work")
            time.sleep(0.05)
        reader.close()


def test_all_replicas_are_gone_and_then_everything(cluster):
    """Without replicas the primary serves all; without anything statements wait for a server."""
    with Workload(cluster.connect_options) as work:
        for server in cluster.replicas:
            cluster.kill(server)
        gone = time.monotonic()
        time.sleep(1)
        assert set(work.count(gone + 0.3)) == {name(cluster.primary)}
        for server in cluster.replicas:
            cluster.restart(server)
        work.wait_until(lambda: full_share(work, name(cluster.replicas[0])), SECONDS)
        for server in cluster.servers:
            cluster.kill(server)
        time.sleep(0.3)
        for server in cluster.servers:
            cluster.restart(server)
        back = time.monotonic()
        work.wait_until(lambda: work.count(back, "writes").get(name(cluster.primary)))
        work.wait_until(lambda: full_share(work, name(cluster.replicas[0])), SECONDS)


def test_a_long_read_is_repeated_when_its_replica_dies(cluster, connect):
    cursor = connect().cursor()
    cursor.execute("SELECT 1 FROM information_schema.schemata")

    def kill_whoever_runs_it():
        until = time.monotonic() + 10
        while time.monotonic() < until:
            for server in cluster.replicas:
                with cluster.admin(server) as admin, admin.cursor() as asking:
                    asking.execute(
                        "SELECT COUNT(*) FROM information_schema.processlist "
                        "WHERE user = 'app' AND info LIKE '%SLEEP%'"
                    )
                    if asking.fetchone()[0]:
                        killed.append(server)
                        cluster.kill(server)
                        return
            time.sleep(0.05)

    killed = []
    killer = threading.Thread(target=kill_whoever_runs_it)
    killer.start()
    cursor.execute("SELECT SLEEP(1.5), 42")
    killer.join()
    assert cursor.fetchone() == (0, 42)
    assert killed
    assert cursor.route.endpoint != name(killed[0])
    assert cursor.route.retries


def test_an_unbuffered_result_that_breaks_off_is_an_interruption(cluster, connect, links):
    """Rows were handed over: never 2006 or 2013, on which SQLAlchemy drops its whole pool."""
    with cluster.connect(cluster.primary) as plain:
        plain.cursor().execute(
            "CREATE TABLE IF NOT EXISTS work (id INT PRIMARY KEY, v INT NOT NULL)"
        )
        plain.cursor().execute("REPLACE INTO work VALUES (1, 1), (2, 2), (3, 3), (4, 4)")
    cluster.wait_caught_up()
    connection = connect(**through(links, cluster, cursorclass=rwsplit.cursors.SSCursor))
    cursor = connection.cursor()
    cursor.execute("SELECT REPEAT('x', 100000) FROM work a JOIN work b JOIN work c JOIN work d")
    assert cursor.route.role == "replica"
    assert cursor.fetchone()
    for link in links[1:]:
        link.cut()
    with pytest.raises(rwsplit.OperationalError) as caught:
        cursor.fetchall()
    assert caught.value.args[0] == 1317
    for link in links[1:]:
        link.mend()
    cursor = connection.cursor(rwsplit.cursors.Cursor)
    cursor.execute("SELECT 1 FROM work")
    assert cursor.fetchone() == (1,)


# Deadlines.


def test_the_read_timeout_holds_over_all_tries(cluster, connect, links):
    """No server answers: an interruption, after that time and not twice it."""
    options = through(links, cluster, read_timeout=1.0)
    connection = connect(**options)
    cursor = connection.cursor()
    cursor.execute("SELECT 1")
    for link in links:
        link.mute = True
    start = time.monotonic()
    with pytest.raises(rwsplit.OperationalError) as caught:
        cursor.execute("SELECT 1 FROM information_schema.schemata")
    assert caught.value.args[0] not in (2006, 2013)
    assert time.monotonic() - start < 3
    for link in links:
        link.mend()


# The primary.


def test_the_primary_dies_and_comes_back(cluster):
    """Reads go on meanwhile; writes wait for it, or say that their outcome is unknown."""
    with Workload(cluster.connect_options) as work:
        with work.only_reads():
            cluster.wait_caught_up()
            cluster.kill(cluster.primary)
            died = time.monotonic()
            time.sleep(1.5)
            replicas = {name(server) for server in cluster.replicas}
            assert set(work.count(died + 0.5)) <= replicas
            assert sum(work.count(died + 0.5).values()) > 100
        with rwsplit.connect(**cluster.connect_options, autocommit=True) as connection:
            connection.cursor().execute("SELECT v FROM work")
            assert connection.route.role == "replica"
            cluster.restart(cluster.primary)
            back = time.monotonic()
            connection.cursor().execute("REPLACE INTO work VALUES (99, 1)")
            print(f"{cluster.flavor}: a write {time.monotonic() - back:.2f} s after its return")
        work.wait_until(lambda: work.count(back, "writes"))


def test_a_read_that_waits_for_a_server_takes_the_first_that_comes(cluster):
    """All are gone, and a replica comes back before the primary does."""
    with rwsplit.connect(
        **{**cluster.connect_options, "autocommit": True, "primary_wait": 60.0}
    ) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        for server in (cluster.primary, *cluster.replicas):
            cluster.kill(server)
        answers = []

        def read():
            cursor.execute("SELECT 1")
            answers.append(cursor.route.role)

        thread = threading.Thread(target=read)
        thread.start()
        time.sleep(1)
        assert not answers
        cluster.restart(cluster.replicas[0])
        thread.join(30)
        assert answers == ["replica"]


def promote_a_replica(own, **how):
    died_with = own.primary
    with Workload(own.connect_options, **how) as work:
        time.sleep(1.2)  # the monitor has seen all of them
        with work.only_reads():
            own.wait_caught_up()
            own.kill(died_with)
        time.sleep(0.5)
        own.promote(own.replicas[0])
        writable = time.monotonic()
        own.repoint(own.replicas[0])
        taken = work.wait_until(lambda: work.count(writable, "writes").get(name(own.primary)), 20)
        print(f"{own.flavor}: the first write {taken:.2f} s after the promotion (aim 2 s)")
        # Every thread writes there, and reads what it wrote.
        work.wait_until(lambda: work.all_wrote(writable), SECONDS)
        time.sleep(1)
        # The old primary comes back with nothing lost, as a replica.
        own.restart(died_with)
        own.repoint(died_with)
        taken = work.wait_until(lambda: full_share(work, name(died_with)), SECONDS)
        print(f"{own.flavor}: the old primary serves reads {taken:.2f} s after its return")


def test_a_replica_is_promoted_when_the_primary_dies(own):
    promote_a_replica(own)


def test_a_frozen_primary_is_replaced(own):
    """Who waits for the old one is told that the outcome is unknown, and goes on."""
    frozen = own.primary
    with Workload(own.connect_options) as work:
        time.sleep(1.2)
        with work.only_reads():
            own.wait_caught_up()
            own.freeze(frozen)  # what it did after that, no replica would have
        time.sleep(0.5)
        own.promote(own.replicas[0])
        writable = time.monotonic()
        taken = work.wait_until(lambda: work.count(writable, "writes").get(name(own.primary)), 20)
        print(f"{own.flavor}: the first write {taken:.2f} s after the promotion (aim 2 s)")
        work.wait_until(lambda: work.all_wrote(writable), 20)


def test_a_demoted_primary_is_left_for_the_new_one(own):
    """Error 1290 tells that nothing happened, so the write runs on the new primary, unseen."""
    before = own.primary
    with Workload(own.connect_options) as work:
        time.sleep(1.2)
        with work.only_reads():
            own.demote(before)
            own.wait_caught_up()
            own.promote(own.replicas[0])
            writable = time.monotonic()
        own.repoint(own.replicas[0])
        own.repoint(before)
        taken = work.wait_until(lambda: work.count(writable, "writes").get(name(own.primary)), 20)
        print(f"{own.flavor}: the first write {taken:.2f} s after the promotion (aim 2 s)")
        time.sleep(0.5)
    assert not work.refused()


def test_a_process_that_starts_with_the_old_addresses_finds_the_new_primary(own):
    before, options = own.primary, own.connect_options
    own.demote(before)
    own.wait_caught_up()
    own.promote(own.replicas[0])
    own.repoint(before)
    with rwsplit.connect(**options, autocommit=True) as connection:
        connection.cursor().execute("CREATE TABLE found (id INT)")
        assert connection.route.endpoint == name(own.primary)
        connection.cursor().execute("SELECT * FROM found")
        assert connection.host == "127.0.0.1"


def test_an_old_primary_with_lost_transactions_serves_nobody(own):
    """It has what the new primary never had: an answer that no primary of now could give."""
    before = own.primary
    with Workload(own.connect_options) as work:
        time.sleep(1.2)
        with work.only_reads():
            own.wait_caught_up()
            for server in own.replicas:
                own.delay(server, 5)
            with own.connect(before) as plain:
                plain.cursor().execute("UPDATE work SET v = v + 1000")
            own.kill(before)
            own.promote(own.replicas[0])
            own.repoint(own.replicas[0])
        promoted = time.monotonic()
        work.wait_until(lambda: work.count(promoted, "writes"), 20)
        own.restart(before)
        own.repoint(before)
        back = time.monotonic()
        time.sleep(4)
        assert not work.count(back).get(name(before))
        state = work.threads[0].connection.cluster.servers[name(before)]
        assert state.unfit


def test_a_new_primary_at_the_old_name(own):
    """The name leads elsewhere: connections to the server before are left."""
    with own.link(own.primary) as link:
        options = {**own.connect_options, "port": link.port}
        options["replicas"] = options["replicas"][1:]
        before = own.primary
        with Workload(options) as work:
            time.sleep(1.2)
            with work.only_reads():
                own.wait_caught_up()
                own.demote(before)
                own.promote(own.replicas[0])
                own.repoint(own.replicas[0])
                link.target = own.primary.port
                moved = time.monotonic()
            taken = work.wait_until(lambda: work.count(moved, "writes"), 20)
            print(f"{own.flavor}: the first write {taken:.2f} s after the name moved (aim 2 s)")
            time.sleep(1)
            with own.connect(own.primary) as plain, plain.cursor() as cursor:
                for thread in work.threads:
                    cursor.execute("SELECT v FROM work WHERE id = %s", (thread.number,))
                    assert cursor.fetchone()[0] >= thread.acknowledged - 1


def test_a_transaction_on_a_demoted_primary_can_be_run_again(own):
    before = own.primary
    with rwsplit.connect(**own.connect_options) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE moved (id INT PRIMARY KEY)")
        own.wait_caught_up()
        time.sleep(1.2)
        cursor.execute("INSERT INTO moved VALUES (1)")
        with own.admin(before) as admin:
            # Waits for the transaction, where it waits at all.
            admin.cursor().execute("SET SESSION lock_wait_timeout = 1")
            demoting = threading.Thread(target=own.demote, args=(before,))
            demoting.start()
            time.sleep(0.5)
        with pytest.raises(rwsplit.OperationalError) as caught:
            cursor.execute("INSERT INTO moved VALUES (2)")
            connection.commit()
        assert caught.value.args[0] in (1213, 1290, 2006, 2013)
        demoting.join()
        own.promote(own.replicas[0])
        connection.rollback()
        cursor.execute("INSERT INTO moved VALUES (3)")
        connection.commit()
        cursor.execute("SELECT id FROM moved")
        assert cursor.fetchall() == ((3,),)


def test_no_primary_at_all_is_error_2003_that_names_everyone(own):
    options = {**own.connect_options, "autocommit": True, "primary_wait": 1.0}
    with rwsplit.connect(**options) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE kept (id INT)")
        cursor.execute("SELECT * FROM kept")
        own.kill(own.primary)
        with pytest.raises(rwsplit.OperationalError) as caught:
            cursor.execute("INSERT INTO kept VALUES (1)")
            cursor.execute("INSERT INTO kept VALUES (2)")
        assert caught.value.args[0] == 2003
        for server in own.servers:
            assert name(server) in caught.value.args[1]
        cursor.execute("SELECT * FROM kept")
        assert cursor.fetchall() == ()
        assert cursor.route.role == "replica"
        connection.ping()


@pytest.mark.parametrize("autocommit", [True, False])
def test_whoever_only_reads_needs_no_primary(cluster, autocommit):
    """Also with autocommit off, where there is a COMMIT or ROLLBACK behind each few reads."""
    options = {**cluster.connect_options, "autocommit": autocommit, "primary_wait": 1.0}
    with rwsplit.connect(**options) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT COUNT(*) FROM information_schema.schemata")
        connection.commit()
        cluster.wait_caught_up()
        cluster.kill(cluster.primary)
        for _ in range(3):
            cursor.execute("SELECT COUNT(*) FROM information_schema.schemata")
            assert cursor.route.role == "replica"
            connection.commit()
            cursor.execute("SELECT COUNT(*) FROM information_schema.schemata")
            connection.rollback()
        with rwsplit.connect(**options) as another:
            another.cursor().execute("SELECT 1")
            another.commit()
        cluster.restart(cluster.primary)


def test_a_read_that_is_lost_with_the_primary_is_repeated(cluster, connect, links):
    """It ran there because a hint or a late replica sent it there, and it changed nothing."""
    connection = connect(**through(links, cluster))
    cursor = connection.cursor()
    cursor.execute("SELECT 1 /* rwsplit: primary */")
    links[0].mute = True
    timer = threading.Timer(0.5, lambda: (links[0].mend(), links[0].cut(), links[0].mend()))
    timer.start()
    cursor.execute("SELECT 42 /* rwsplit: primary */")
    assert cursor.fetchone() == (42,)
    assert cursor.route.retries == 1
    timer.join()


def test_without_splitting_a_lost_primary_comes_back_all_the_same(cluster, links, connect):
    connection = connect(**through(links, cluster, reads="primary"))
    cursor = connection.cursor()
    cursor.execute("SELECT 1")
    links[0].cut()
    threading.Timer(1.0, links[0].mend).start()
    cursor.execute("SELECT 1")
    assert cursor.route.role == "primary"


def test_a_primary_that_wakes_up_slowly_is_waited_for(cluster, links, connect):
    connection = connect(**through(links, cluster))
    cursor = connection.cursor()
    cursor.execute("DO 1")
    links[0].cut()
    threading.Timer(1.5, links[0].mend).start()
    cursor.execute("DO 1")
    assert cursor.route.role == "primary"


def test_a_misconfigured_replica_is_never_taken_for_the_primary(own, caplog):
    """It could be written to all along: a write there would be lost to everyone."""
    stray = own.replicas[0]
    with own.admin(stray) as admin:
        if own.flavor == "mysql":
            admin.cursor().execute("SET GLOBAL super_read_only = OFF")
        admin.cursor().execute("SET GLOBAL read_only = OFF")
    options = {**own.connect_options, "autocommit": True, "primary_wait": 1.5}
    with rwsplit.connect(**options) as connection:
        connection.cursor().execute("CREATE TABLE kept (id INT)")
        time.sleep(1.5)
        assert "is not read-only" in caplog.text
        own.kill(own.primary)
        with pytest.raises(rwsplit.OperationalError):
            connection.cursor().execute("INSERT INTO kept VALUES (1)")
        with pytest.raises(rwsplit.OperationalError) as caught:
            connection.cursor().execute("INSERT INTO kept VALUES (1)")
        assert caught.value.args[0] == 2003
    with own.connect(stray) as plain, plain.cursor() as cursor:
        cursor.execute("SELECT * FROM kept")
        assert cursor.fetchall() == ()
