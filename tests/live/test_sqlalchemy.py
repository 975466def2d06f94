"""SQLAlchemy's engines over `mysql+rwsplit://` and `mariadb+rwsplit://`."""

import logging
import os
import threading
import time

import pytest

import rwsplit

sa = pytest.importorskip("sqlalchemy")

from sqlalchemy import orm  # noqa: E402
from sqlalchemy.dialects import registry  # noqa: E402
from sqlalchemy.pool import NullPool, QueuePool  # noqa: E402

# As the entry points of the installed package say.
registry.register("mysql.rwsplit", "rwsplit.sqlalchemy", "RWSplitDialect")
registry.register("mariadb.rwsplit", "rwsplit.sqlalchemy", "RWSplitMariaDBDialect")

SECONDS = float(os.environ.get("RWSPLIT_TEST_SECONDS", "10"))


def url_of(cluster, flavor=None, **query):
    options = cluster.connect_options
    return sa.URL.create(
        f"{flavor or cluster.flavor}+rwsplit",
        options["user"],
        options["password"],
        options["host"],
        options["port"],
        options["database"],
        {"replicas": ",".join(options["replicas"]), **query},
    )


@pytest.fixture
def engine(cluster):
    """Makes engines; disposed of after the test."""
    made = []

    def make(flavor=None, query=(), **options):
        made.append(sa.create_engine(url_of(cluster, flavor, **dict(query)), **options))
        return made[-1]

    yield make
    for each in made:
        each.dispose()


@pytest.fixture
def late(cluster):
    """Replicas that are half a second late."""
    for replica in cluster.replicas:
        cluster.delay(replica, 0.5)


@pytest.fixture
def stalled(cluster):
    """Replicas that answer and do not advance."""
    for replica in cluster.replicas:
        cluster.stall(replica)


READ = sa.text("SELECT v FROM t WHERE id = :id")
JUST_READ = sa.text("SELECT v, id FROM t WHERE id = :id")
"""Of transactions that do no more: those that begin with the other are known to write."""
WRITE = sa.text("REPLACE INTO t VALUES (:id, :v)")


class Role(str):
    """Shows the whole route where a test fails."""

    __slots__ = ("route",)

    def __repr__(self):
        return f"{self.route}"


def role(result):
    role = Role(result.cursor.route.role)
    role.route = result.cursor.route
    return role


def from_replica(connection, statement=JUST_READ, **options):
    """Run a read until a replica answers: each may be late for a moment."""
    until = time.monotonic() + 5
    while True:
        result = connection.execute(statement, {"id": 1}, execution_options=options)
        if role(result) == "replica" or time.monotonic() > until:
            assert role(result) == "replica"
            return result
        result.close()
        connection.rollback()


def driver(connection):
    return connection.connection.dbapi_connection


def queries(cluster):
    """How many statements the primary has run by now, beside those that ask so."""
    with cluster.admin(cluster.primary) as admin, admin.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Questions'")
        return int(cursor.fetchone()[1])


def test_the_dialects(cluster, engine, table):
    with engine().connect() as connection:
        assert connection.dialect.driver == "rwsplit"
        assert connection.dialect.name == cluster.flavor
        assert connection.dialect.is_mariadb == (cluster.flavor == "mariadb")
        assert isinstance(driver(connection), rwsplit.Connection)
        from_replica(connection)
        connection.rollback()
        connection.execute(WRITE, {"id": 1, "v": 2})
        result = connection.execute(READ, {"id": 1})
        assert (role(result), result.scalar()) == ("primary", 2)
        connection.commit()
    inspector = sa.inspect(engine())
    assert [column["name"] for column in inspector.get_columns("t")] == ["id", "v"]


def test_a_mysql_url_is_for_mariadb_too_and_not_the_other_way(cluster, engine):
    with engine("mysql").connect() as connection:
        assert connection.dialect.is_mariadb == (cluster.flavor == "mariadb")
    if cluster.flavor == "mysql":
        with pytest.raises(sa.exc.InvalidRequestError, match="MySQL version"):
            engine("mariadb").connect()


def test_a_connection_costs_what_connect_costs(cluster, engine):
    """No SET NAMES behind it: PyMySQL has set the character set."""
    made = engine(query={"charset": "utf8mb4"})
    assert made.dialect.on_connect() is None
    with made.connect() as connection:
        assert connection.scalar(sa.text("SELECT @@character_set_client")) == "utf8mb4"


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"max_wate": "1"}, "max_wate"),
        ({"max_wait": "soon"}, "max_wait"),
        ({"consistency": "strong"}, "consistency"),
        ({"session_id_kind": "x"}, "session_id_kind"),
    ],
)
def test_a_bad_url_is_named_before_any_socket_opens(query, named):
    url = sa.URL.create("mysql+rwsplit", "u", "geheim", "127.0.0.1", 1, "shop", query)
    with pytest.raises((TypeError, ValueError), match=named) as caught:
        sa.create_engine(url).connect()
    assert "geheim" not in str(caught.value)


def test_the_url_reaches_the_connection(engine):
    query = {"max_wait": "0.25", "sessionId": "42", "connect_timeout": "7.5", "autocommit": "true"}
    with engine(query=query).connect() as connection:
        assert driver(connection).session_id == "42"
        assert driver(connection)._options.max_wait == 0.25
        assert driver(connection).connect_timeout == 7.5
    made = engine(query={"autocommit": "true"}, isolation_level="AUTOCOMMIT")
    with made.connect() as connection:
        assert driver(connection).get_autocommit()


def test_several_hosts(cluster, engine):
    options = cluster.connect_options
    hosts = [f"{options['host']}:{options['port']}", *options["replicas"]]
    url = sa.URL.create(
        f"{cluster.flavor}+rwsplit",
        options["user"],
        options["password"],
        database=options["database"],
        query={"host": hosts},
    )
    made = sa.create_engine(url)
    with made.connect() as connection:
        from_replica(connection, sa.text("SELECT :id"))
    made.dispose()


# Options.


def test_the_options_of_a_statement_of_a_connection_and_of_an_engine(engine, table):
    made = engine()
    to_primary = {"rwsplit_route": "primary"}
    with made.connect() as connection:
        from_replica(connection)
        connection.rollback()
        assert (
            role(connection.execute(JUST_READ, {"id": 1}, execution_options=to_primary))
            == "primary"
        )
        connection.rollback()
        asked = JUST_READ.execution_options(**to_primary)
        assert role(connection.execute(asked, {"id": 1})) == "primary"
        connection.rollback()
        from_replica(connection)
        connection.rollback()
    with made.connect().execution_options(**to_primary) as connection:
        assert role(connection.execute(JUST_READ, {"id": 1})) == "primary"
        assert role(connection.exec_driver_sql("SELECT v FROM t")) == "primary"
        assert connection.exec_driver_sql("SELECT v FROM t").cursor.route.cause is (
            rwsplit.Cause.IN_TRANSACTION
        )
    with made.connect() as connection:  # and it was returned as it was
        from_replica(connection)
    with made.execution_options(**to_primary).connect() as connection:
        assert role(connection.execute(JUST_READ, {"id": 1})) == "primary"
        back = {"rwsplit_route": "replica"}
        connection.rollback()
        from_replica(connection, **back)


def test_a_replica_by_its_name(cluster, engine, table):
    name = cluster.connect_options["replicas"][1]
    with engine().execution_options(rwsplit_route=name).connect() as connection:
        for _ in range(4):
            assert from_replica(connection).cursor.route.endpoint == name
            connection.rollback()


def test_what_the_text_asks_for_goes_before(engine, table):
    made = engine(isolation_level="AUTOCOMMIT").execution_options(rwsplit_route="replica")
    with made.connect() as connection:
        hinted = sa.text("SELECT /* rwsplit: primary */ v FROM t")
        result = connection.execute(hinted)
        assert role(result) == "primary"


def test_the_consistency_of_a_statement(engine, table, stalled):
    made = engine(isolation_level="AUTOCOMMIT")
    with made.connect() as connection:
        connection.execute(WRITE, {"id": 1, "v": 0})
        eventual = {"rwsplit_consistency": "eventual"}
        asked = connection.execute(READ, {"id": 1}, execution_options=eventual)
        assert role(asked) == "replica"
        result = connection.execute(READ, {"id": 1})
        assert (role(result), result.scalar()) == ("primary", 0)
    with made.execution_options(rwsplit_consistency="global").connect() as connection:
        with rwsplit.connect(**connect_options(made)) as other, other.cursor() as cursor:
            cursor.execute("REPLACE INTO t VALUES (1, 7)")
        assert connection.execute(READ, {"id": 1}).scalar() == 7


def connect_options(engine):
    """Of a connection that shares nothing with those of the engine, and splits nothing."""
    keep = ("host", "port", "user", "password", "database")
    options = engine.dialect.create_connect_args(engine.url)[1]
    return {"autocommit": True, **{key: options[key] for key in keep}}


def test_the_staleness_of_a_statement(engine, table, late):
    made = engine(isolation_level="AUTOCOMMIT", query={"consistency": "eventual"})
    with made.connect() as connection:
        connection.execute(WRITE, {"id": 1, "v": 0})
        assert role(connection.execute(READ, {"id": 1})) == "replica"
        fresh = {"rwsplit_max_staleness": 0.05}
        for number in range(3):
            connection.execute(WRITE, {"id": 1, "v": number})
            time.sleep(0.1)
            result = connection.execute(READ, {"id": 1}, execution_options=fresh)
            assert result.scalar() == number


@pytest.mark.parametrize(
    "options",
    [
        {"rwsplit_route": "primry"},
        {"rwsplit_route": 1},
        {"rwsplit_route": ["primary"]},
        {"rwsplit_route": "replica consistency=eventual"},
        {"rwsplit_consistency": "strong"},
        {"rwsplit_max_staleness": 0},
        {"rwsplit_max_staleness": "1"},
        {"rwsplit_max_staleness": True},
        {"rwsplit_rout": "primary"},
        {"mysql_readonly": "yes"},
    ],
)
def test_a_bad_option_is_named_wherever_it_stands(options):
    made = sa.create_engine("mysql+rwsplit://u@127.0.0.1:1/x?replicas=127.0.0.1:2")
    (name,) = options
    if options == {"rwsplit_route": "primry"}:
        made.execution_options(**options)  # it may be a replica's name
        return
    with pytest.raises(ValueError, match=name):
        made.execution_options(**options)


def test_a_bad_option_of_a_statement_is_named(engine, table):
    with engine().connect() as connection:
        for options in ({"rwsplit_rout": "primary"}, {"rwsplit_consistency": "strong"}):
            with pytest.raises(ValueError, match=next(iter(options))):
                connection.execute(READ, {"id": 1}, execution_options=options)


def test_read_only_transactions(engine, table):
    made = engine()
    for reading in (
        made.execution_options(mysql_readonly=True).connect(),
        made.connect().execution_options(mysql_readonly=True),
    ):
        with reading as connection:
            # NOW() could not be verified, and need not be: it can't write.
            from_replica(connection, sa.text("SELECT COUNT(*), NOW(6) FROM t WHERE id < :id"))
            with pytest.raises(sa.exc.DBAPIError) as caught:
                connection.execute(WRITE, {"id": 1, "v": 1})
            assert caught.value.orig.args[0] == 1792
    with made.begin() as connection:  # it was returned as it was
        connection.execute(WRITE, {"id": 1, "v": 1})
    with made.connect() as connection:
        connection.execute(READ, {"id": 1})
        with pytest.raises(sa.exc.InvalidRequestError, match="mysql_readonly"):
            connection.execution_options(mysql_readonly=True)


def test_read_only_statements_and_autocommit(engine, table):
    only = {"mysql_readonly": True}
    with engine().connect() as connection:
        connection.execute(READ, {"id": 1}, execution_options=only)
        with pytest.raises(sa.exc.DBAPIError, match=r"1792.*READ ONLY"):
            connection.execute(WRITE, {"id": 1, "v": 1}, execution_options=only)
        connection.execute(WRITE, {"id": 1, "v": 1})
        connection.rollback()
    made = engine(isolation_level="AUTOCOMMIT", execution_options=only)
    with made.connect() as connection:
        from_replica(connection)
        with pytest.raises(sa.exc.DBAPIError, match=r"1792.*READ ONLY"):
            connection.execute(WRITE, {"id": 1, "v": 1})


# Pools.


def test_pre_ping_asks_nobody(cluster, engine, table):
    """Of 400 checkouts the primary hears nothing but what the monitor asks meanwhile."""
    made = engine(pool_pre_ping=True, pool_size=1, max_overflow=0)
    with made.connect() as connection:
        connection.execute(READ, {"id": 1})
    before = queries(cluster)
    for _ in range(400):
        with made.connect():
            pass
    assert queries(cluster) - before < 200


def test_pre_ping_keeps_what_can_be_made_again_and_replaces_what_can_not(cluster, engine, table):
    made = engine(pool_pre_ping=True, pool_size=1, max_overflow=0)
    with made.connect() as connection:
        first = driver(connection)
        number = first.thread_id()
    kill(cluster, number)
    with made.connect() as connection:
        assert driver(connection) is first
        connection.execute(WRITE, {"id": 1, "v": 1})
        connection.commit()
        connection.execute(sa.text("CREATE TEMPORARY TABLE mine (id INT)"))
        number = first.thread_id()
    kill(cluster, number)
    with made.connect() as connection:
        assert driver(connection) is not first
        assert connection.execute(READ, {"id": 1}).scalar() == 1


def kill(cluster, number):
    with cluster.admin(cluster.primary) as admin, admin.cursor() as cursor:
        cursor.execute(f"KILL {number}")
    time.sleep(0.1)


def test_a_loss_that_is_survived_drops_no_pool(cluster, engine, table):
    made = engine(pool_size=2)
    with made.connect() as one, made.connect() as other:
        kept = {id(driver(one)), id(driver(other))}
        one.execute(WRITE, {"id": 1, "v": 1})
        kill(cluster, driver(one).thread_id())
        with pytest.raises(sa.exc.DBAPIError) as caught:
            one.execute(WRITE, {"id": 1, "v": 2})
        assert caught.value.orig.args[0] in (2006, 2013, 1927)
        assert not caught.value.connection_invalidated
        with pytest.raises(sa.exc.InterfaceError, match="lost with its connection") as caught:
            one.execute(WRITE, {"id": 1, "v": 2})
        assert not caught.value.connection_invalidated
        one.rollback()
        one.execute(WRITE, {"id": 1, "v": 3})
        one.commit()
    with made.connect() as one, made.connect() as other:
        assert {id(driver(one)), id(driver(other))} == kept
        assert one.execute(READ, {"id": 1}).scalar() == 3


def test_a_loss_that_is_not_survived_invalidates(cluster, engine, table):
    made = engine(pool_size=1, max_overflow=0)
    with made.connect() as connection:
        connection.execute(sa.text("CREATE TEMPORARY TABLE mine (id INT)"))
        connection.commit()
        kill(cluster, driver(connection).thread_id())
        with pytest.raises(sa.exc.DBAPIError) as caught:
            connection.execute(WRITE, {"id": 1, "v": 2})
        assert caught.value.connection_invalidated
        connection.rollback()
        connection.execute(WRITE, {"id": 1, "v": 2})
        connection.commit()


def test_a_checkout_begins_a_session(cluster, engine, table, stalled):
    """What this process knows of the primary by then is seen, whoever wrote it."""
    made = engine(pool_size=1, max_overflow=0)
    with made.connect() as connection:
        connection.execute(READ, {"id": 1})
        of_process = driver(connection).cluster
    with rwsplit.connect(**connect_options(made)) as other, other.cursor() as cursor:
        cursor.execute("REPLACE INTO t VALUES (1, 5)")
    # Whatever connects anew brings where the primary is: nothing is asked for at the checkout.
    options = {**connect_options(made), "replicas": cluster.connect_options["replicas"]}
    rwsplit.connect(**options).close()
    assert of_process.last_seen() is not None
    with made.connect() as connection:
        assert connection.execute(READ, {"id": 1}).scalar() == 5


def test_a_checkout_in_a_scope_sees_what_the_scope_says(cluster, engine, table, stalled):
    """What others wrote keeps no read of a scope from the replicas; behind it, it does."""
    made = engine(pool_size=1, max_overflow=0)
    with made.begin() as connection:
        connection.execute(WRITE, {"id": 1, "v": 1})
    with rwsplit.scope(after=None), made.connect() as connection:
        assert role(connection.execute(JUST_READ, {"id": 1})) == "replica"
    with made.connect() as connection:
        result = connection.execute(JUST_READ, {"id": 1})
        assert (role(result), result.scalar()) == ("primary", 1)


def test_nothing_stale_between_two_blocks(engine, table, late):
    for pool in (QueuePool, NullPool):
        made = engine(poolclass=pool)
        stale = 0
        for number in range(200):
            with made.begin() as connection:
                connection.execute(WRITE, {"id": 1, "v": number})
            with made.begin() as connection:
                stale += connection.execute(READ, {"id": 1}).scalar() != number
        assert stale == 0, pool


def test_nothing_stale_between_threads(engine, table, stalled):
    """Two connections of the pool are in use at once; what one committed the other reads."""
    made = engine()
    with made.connect() as reader:
        for number in range(30):
            with made.begin() as connection:
                connection.execute(WRITE, {"id": 1, "v": number})
            assert reader.execute(READ, {"id": 1}).scalar() == number
            reader.rollback()


# Streams, isolation levels.


@pytest.mark.parametrize("level", ["AUTOCOMMIT", "REPEATABLE READ"])
def test_streams_run_on_replicas(engine, table, level):
    made = engine(isolation_level=level)
    with made.begin() as connection:
        connection.execute(
            sa.text("INSERT INTO t VALUES (:id, 1)"), [{"id": number} for number in range(500)]
        )
    with made.connect() as connection:
        stream = sa.text("SELECT id FROM t WHERE id >= 0 * :id ORDER BY id")
        result = from_replica(connection, stream, stream_results=True, yield_per=50)
        assert isinstance(result.cursor, rwsplit.cursors.SSCursor)
        assert [row.id for row in result] == [*range(500)]
        connection.execute(WRITE, {"id": 1, "v": 9})


def test_isolation_levels(engine, table):
    made = engine()
    with made.connect() as connection:
        assert connection.default_isolation_level == "REPEATABLE READ"
    for level in ("READ COMMITTED", "SERIALIZABLE", "READ UNCOMMITTED", "REPEATABLE READ"):
        with made.connect().execution_options(isolation_level=level) as connection:
            assert connection.get_isolation_level() == level
            connection.execute(WRITE, {"id": 1, "v": 1})
            connection.rollback()
            assert connection.execute(READ, {"id": 1}).scalar() is None
    with made.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(WRITE, {"id": 1, "v": 1})
        connection.rollback()
        assert connection.execute(READ, {"id": 1}).scalar() == 1
        assert driver(connection).get_autocommit()
    with made.connect() as connection:
        assert not driver(connection).get_autocommit()
        assert connection.get_isolation_level() == "REPEATABLE READ"


# The ORM.


def test_transactions_that_only_read_are_on_replicas(engine, table):
    base = orm.declarative_base()

    class Row(base):
        __tablename__ = "t"
        id = sa.Column(sa.Integer, primary_key=True)
        v = sa.Column(sa.Integer)

    made = engine()
    session_of = orm.sessionmaker(made)
    with session_of.begin() as session:
        session.add_all([Row(id=number, v=number) for number in range(20)])
    roles = []

    def note(connection, cursor, statement, parameters, context, many):
        roles.append(cursor.route.role)

    time.sleep(0.2)
    sa.event.listen(made, "after_cursor_execute", note)
    for number in range(round(40 * SECONDS)):
        with session_of() as session:
            row = session.get(Row, number % 20)
            assert row.v == number % 20
            assert session.scalar(sa.select(sa.func.count()).select_from(Row)) == 20
    share = roles.count("replica") / len(roles)
    print(f"{share:.1%} of {len(roles)} reads on replicas")
    assert share >= 0.95


def test_options_of_the_orm_are_no_options_of_ours(engine, table):
    """Some of its keys are no texts: those of subqueries that load what belongs to a row."""
    base = orm.declarative_base()

    class Row(base):
        __tablename__ = "t"
        id = sa.Column(sa.Integer, primary_key=True)
        v = sa.Column(sa.ForeignKey("t.id"))
        others = orm.relationship("Row")

    made = engine(execution_options={"rwsplit_route": "primary"})
    with orm.Session(made) as session:
        session.add_all([Row(id=1), Row(id=2, v=1), Row(id=3, v=1)])
        session.commit()
        loaded = sa.select(Row).where(Row.id == 1).options(orm.subqueryload(Row.others))
        assert [other.id for other in session.scalar(loaded).others] == [2, 3]


def test_a_transaction_that_writes_never_reads_older_than_itself(engine, table, stalled):
    made = engine()
    failed = []

    def add(name):
        for _ in range(15):
            for _ in range(20):
                try:
                    with made.begin() as connection:
                        before = connection.execute(READ, {"id": name}).scalar() or 0
                        connection.execute(WRITE, {"id": name, "v": before + 1})
                        if connection.execute(READ, {"id": name}).scalar() != before + 1:
                            failed.append(name)
                    break
                except sa.exc.OperationalError as error:
                    assert error.orig.args[0] == 1213

    threads = [threading.Thread(target=add, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    with made.connect() as connection:
        rows = connection.execute(sa.text("SELECT id, v FROM t")).all()
        assert sorted(map(tuple, rows)) == [(name, 15) for name in range(4)]


def test_routes_are_logged_without_values(engine, table, caplog):
    made = engine()
    with caplog.at_level(logging.DEBUG, "rwsplit.sqlalchemy"), made.connect() as connection:
        from_replica(connection, sa.text("SELECT v FROM t WHERE v = 'geheim' AND id = :id"))
        connection.execute(WRITE, {"id": 1, "v": 4711})
        connection.rollback()
    said = [record.getMessage() for record in caplog.records if record.name.endswith("sqlalchemy")]
    assert any(" <- replica " in text for text in said)
    assert any(" <- primary " in text for text in said)
    assert not [text for text in said if "geheim" in text or "4711" in text]
