"""What a statement is said to do beside its kind; templates, hints, caches, dialects."""

import sys
import threading

import pytest

from rwsplit._core.sql.classify import Classifier, Dialect, classifier, classify
from rwsplit._core.sql.statement import Hint, Kind, TableName

MYSQL = Classifier(Dialect.of("mysql", "8.4.0"))
MARIADB = Classifier(Dialect.of("mariadb", "10.11.6-MariaDB"))


def tables(sql):
    return {str(table) for table in MYSQL.statement(sql).tables}


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("SELECT * FROM t", {"t"}),
        ("SELECT * FROM db.t a, `u` b JOIN (v, w) ON 1", {"db.t", "u", "v", "w"}),
        ("SELECT (SELECT 1 FROM a) FROM b WHERE c IN (SELECT d FROM e)", {"a", "b", "e"}),
        ("SELECT EXTRACT(YEAR FROM x), TRIM('a' FROM y) FROM t", {"t"}),
        ("SELECT * FROM (SELECT * FROM t) AS d, u", {"t", "u"}),
        ("INSERT INTO a (x, y) SELECT x, y FROM b", {"a", "b"}),
        ("INSERT a VALUES (1)", {"a"}),
        ("UPDATE a JOIN b ON 1 SET a.x = (SELECT y FROM c)", {"a", "b", "c"}),
        ("DELETE a FROM a JOIN b ON 1", {"a", "b"}),
        ("REPLACE INTO `x y`.`z``` VALUES (1)", {"x y.z`"}),
        ("TABLE t", {"t"}),
        ("DESCRIBE db.t", {"db.t"}),
        ("SHOW COLUMNS FROM t FROM db", {"db.t"}),
        ("SHOW CREATE TABLE t", {"t"}),
        ("EXPLAIN SELECT * FROM t", {"t"}),
        ("LOCK TABLES a READ, b AS c WRITE", {"a", "b"}),
        ("SELECT 1 FROM a UNION SELECT 2 FROM b", {"a", "b"}),
        ("SELECT next FROM next", {"next"}),
    ],
)
def test_tables(sql, names):
    assert tables(sql) == names


def test_temporary_tables_are_followed():
    made = MYSQL.statement("CREATE TEMPORARY TABLE IF NOT EXISTS db.tmp (id INT)")
    assert made.temporary_made == (TableName("db", "tmp"),)
    assert not made.implicit_commit
    dropped = MYSQL.statement("DROP TABLE IF EXISTS a, `b`")
    assert dropped.temporary_dropped == (TableName(None, "a"), TableName(None, "b"))
    assert dropped.implicit_commit
    assert not MYSQL.statement("DROP TEMPORARY TABLE a").implicit_commit
    renamed = MYSQL.statement("ALTER TABLE a ADD x INT, RENAME TO b")
    assert renamed.renames == ((TableName(None, "a"), TableName(None, "b")),)
    assert len(MARIADB.statement("RENAME TABLE a TO b, c TO d").renames) == 2


def test_variables():
    found = MYSQL.statement("SET @A = @b, sql_mode = @@time_zone, @@session.x = 1, GLOBAL y = 2")
    assert found.user_variables_written == {"a"}
    assert found.user_variables_read == {"b"}
    assert found.system_variables_written == {"sql_mode", "x"}
    assert found.system_variables_read == {"time_zone"}
    assert found.may_write
    names = MYSQL.statement("SET NAMES utf8mb4").system_variables_written
    assert names >= {"character_set_client", "character_set_results", "collation_connection"}


def test_locks_and_releases():
    assert MYSQL.statement("SELECT GET_LOCK('a', 1)").locks == {"user"}
    assert MYSQL.statement("SELECT RELEASE_LOCK('a')").releases == {"user"}
    assert MYSQL.statement("SELECT 1 FROM t FOR SHARE").locks == {"rows"}
    assert MYSQL.statement("UNLOCK TABLES").releases == {"tables"}
    assert MYSQL.statement("BEGIN").releases == {"tables"}
    assert MYSQL.statement("HANDLER t OPEN").locks == {"handler"}
    assert MYSQL.statement("HANDLER t CLOSE").releases == {"handler"}
    assert MYSQL.statement("FLUSH TABLES WITH READ LOCK").locks == {"tables"}
    assert MYSQL.statement("XA START 'a'").locks == {"xa"}
    assert MYSQL.statement("XA COMMIT 'a'").releases == {"xa"}


@pytest.mark.parametrize(
    ("sql", "does", "name"),
    [
        ("BEGIN", "begin", None),
        ("START TRANSACTION READ ONLY", "begin read only", None),
        ("START TRANSACTION WITH CONSISTENT SNAPSHOT", "begin consistent snapshot", None),
        ("COMMIT", "commit", None),
        ("COMMIT WORK AND CHAIN", "commit chain", None),
        ("COMMIT AND NO CHAIN RELEASE", "commit release", None),
        ("COMMIT NO RELEASE", "commit", None),
        ("ROLLBACK AND CHAIN", "rollback chain", None),
        ("ROLLBACK TO SAVEPOINT `x`", "rollback to", "x"),
        ("SAVEPOINT x", "savepoint", "x"),
        ("RELEASE SAVEPOINT x", "release savepoint", "x"),
        ("SET TRANSACTION READ ONLY", "set transaction", None),
    ],
)
def test_transactions(sql, does, name):
    found = MYSQL.statement(sql)
    assert (found.transaction, found.name) == (does, name)


def test_prepared_statements():
    found = MYSQL.statement("PREPARE s FROM 'SELECT ''a'' FROM t WHERE id = ?'")
    assert found.name == "s"
    assert found.body is not None
    assert found.body.kind is Kind.READ
    assert MYSQL.statement("PREPARE s FROM 'DELETE FROM t'").body.kind is Kind.WRITE
    assert MYSQL.statement("PREPARE s FROM @text").body is None
    assert MYSQL.statement("PREPARE s FROM 'a\\' b'").body.kind is Kind.UNKNOWN
    assert MYSQL.statement("EXECUTE s USING @a").depends == {"prepared"}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM t WHERE id = %s",
        "SELECT * FROM t WHERE id=%s AND name LIKE 'a%%'",
        "SELECT * FROM t WHERE id IN %s LIMIT %s OFFSET %s",
        "SELECT * FROM t WHERE id IN (%s, %s) ORDER BY `a%%b`",
        "SELECT %(a)s, %(b c)s",
        "SELECT 7 %% 2",
        "SELECT * FROM t WHERE a BETWEEN %s AND %s",
        "INSERT INTO t (a, b) VALUES (%s, %s)",
        "UPDATE t SET a = %s WHERE b = %s",
        "SELECT 1",
    ],
)
def test_templates_that_stand_for_all_their_texts(sql):
    assert MYSQL.template(sql) is not None


@pytest.mark.parametrize(
    "sql",
    [
        "%s",
        " %s",
        "SELECT '%s'",
        "SELECT `%s`",
        "SELECT 1 /* %s */",
        "SELECT /*+ %s */ 1",
        "SELECT 1 -- %s",
        "SELECT @%s",
        "SELECT @@%s",
        "SELECT a%s",
        "SELECT %sa",
        "SELECT x%s",
        "SELECT N%s",
        "SELECT _utf8%s",
        "SELECT 0x%s",
        "SELECT -%s",
        "SELECT 1 -%s",
        "SELECT --%s",
        "SELECT %s%s",
        "SELECT %s'a'",
        "SELECT f %s",
        "SELECT now %s",
        "SELECT * FROM %s",
        "SELECT 1 INTO OUTFILE %s",
        "PREPARE s FROM %s",
        "EXECUTE IMMEDIATE %s",
        "USE %s",
        "SELECT %d",
        "SELECT %(a)d",
        "SELECT %",
        "SELECT 1 % 2",
        "SELECT %s, %(a)s",
        "SELECT offset %s",
        "SELECT /*!40000 %s */",
        "SELECT 'a %s",
        "SELECT a.%s",
        "SELECT %s.a",
        "SELECT %s(1)",
    ],
)
def test_templates_that_do_not(sql):
    assert MYSQL.template(sql) is None


def test_templates_never_count_where_backslashes_do_not_escape():
    strict = Classifier(Dialect.of("mysql", "8.4.0", "NO_BACKSLASH_ESCAPES"))
    assert strict.template("SELECT %s") is None


@pytest.mark.parametrize(
    ("sql", "hint"),
    [
        ("SELECT 1 /* rwsplit: primary */", Hint("primary")),
        ("/* rwsplit: replica */ SELECT 1", Hint("replica")),
        ("SELECT /*rwsplit:replica=a:3306*/ 1", Hint("replica", "a:3306")),
        ("SELECT 1 -- rwsplit: consistency=eventual", Hint(consistency="eventual")),
        ("SELECT 1 # RWSPLIT: max_staleness=2.5", Hint(max_staleness=2.5)),
        (
            "SELECT 1 /* rwsplit: replica, max_staleness=3 */",
            Hint("replica", max_staleness=3.0),
        ),
        ("SELECT '/* rwsplit: primary */'", None),
        ("SELECT 1 AS `-- rwsplit: primary`", None),
        ("SELECT 1", None),
    ],
)
def test_hints(sql, hint):
    assert MYSQL.statement(sql).hint == hint
    assert MYSQL.statement(sql).kind is Kind.READ


@pytest.mark.parametrize(
    "said", ["", "prmary", "replica=", "consistency=strong", "max_staleness=-1", "primary=1"]
)
def test_a_malformed_hint_is_told_and_is_no_hint(said):
    found = MYSQL.statement(f"SELECT 1 /* rwsplit: {said} */")
    assert found.hint is None
    assert found.bad_hint
    assert found.kind is Kind.READ


def test_hints_of_others_are_kept_for_who_maps_them():
    assert MYSQL.statement("SELECT 1 -- maxscale route to MASTER").foreign_hints == (
        "maxscale route to master",
    )
    assert MYSQL.statement("SELECT /* ;hostgroup = 1 */ 1").foreign_hints == ("hostgroup=1",)


def test_executable_comments_are_read_by_version():
    sql = "SELECT 1 /*!80100 FOR UPDATE */"
    assert classify(sql, "mysql", "8.4.0").kind is Kind.PRIMARY_READ
    # This server skips it; another member of the cluster might not.
    assert classify(sql, "mysql", "8.0.36").kind is Kind.PRIMARY_READ
    assert classify(sql, "mysql").kind is not Kind.READ
    assert classify("SELECT 1 /*!50100 + 1 */", "mysql").kind is Kind.READ
    assert classify("SELECT 1 /*!50701 FOR UPDATE */", "mariadb", "10.11.6").kind is Kind.READ
    assert classify("SELECT 1 /*M! FOR UPDATE */", "mysql").kind is Kind.READ


def test_bytes_are_read_where_their_charset_is_known():
    assert classify(b"SELECT 1").kind is Kind.READ
    assert classify(bytearray(b"SELECT 1 FOR UPDATE")).kind is Kind.PRIMARY_READ
    assert classify("SELECT 'é'".encode()).kind is Kind.READ
    assert classify(b"SELECT '\xff'").kind is Kind.READ
    gbk = Classifier(Dialect.of("mysql", "8.4.0", "", "gbk"))
    assert gbk.statement(b"SELECT '\xbf\\' FOR UPDATE -- '").kind is Kind.UNKNOWN
    assert gbk.statement("SELECT '\udcbf\\' FOR UPDATE -- '").kind is Kind.UNKNOWN
    assert gbk.statement(b"SELECT 1").kind is Kind.READ


def test_a_non_breaking_space_is_read_differently_by_charset():
    assert classify("SELECT 1 FROM t FOR\xa0UPDATE").kind is Kind.UNKNOWN
    assert classify("SELECT \xa0(1)").kind is Kind.UNKNOWN
    assert classify("SELECT 'a\xa0b'").kind is Kind.READ


def test_one_classifier_a_dialect():
    assert classifier(Dialect.of("mysql", "8.4.0")) is classifier(Dialect.of("mysql", "8.4.0"))


def test_caches_are_bounded_and_keep_no_long_text():
    mine = Classifier(Dialect.of("mysql", "8.4.0"))
    mine.statement("INSERT INTO t VALUES ('" + "a" * 10_000_000 + "')")
    assert not mine.texts
    assert sum(len(digest) for digest, _ in mine._digests) < 1000
    mine.statement("SELECT " + ",".join(f"c{number}" for number in range(10_000)))
    assert len(mine._digests) == 1
    for number in range(4_500):
        mine.statement(f"SELECT c{number}")
        mine.template(f"SELECT c{number} WHERE a = %s")
    assert len(mine.texts) <= 4096
    assert len(mine.templates) <= 4096
    assert len(mine._digests) <= 4096


def test_many_threads_get_the_same_answers():
    mine = Classifier(Dialect.of("mysql", "8.4.0"))
    wrong = []

    def work(seed):
        for number in range(3000):
            table = (number * seed) % 6000
            found = mine.statement(f"SELECT * FROM t{table} WHERE a = {number}")
            if found.tables != (TableName(None, f"t{table}"),):
                wrong.append(found)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(1, 7)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert not wrong
