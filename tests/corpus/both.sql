# What both flavors understand alike. The schema: t (id, v, name), u (id, t_id), the view vw,
# functions fr (reads), fn (NO SQL), fw (writes), procedures p (reads) and pw (writes).

# Plain reads
read          SELECT 1
read          select 1
read          SeLeCt 1
read          SELECT 1;
read          SELECT 1 ; ;⏎;
read          SELECT/**/1
read          SELECT⏎1
read          SELECT	1
read          /* c */ SELECT 1
read          -- c⏎SELECT 1
read          # c⏎SELECT 1
read          --⏎SELECT 1
read          /**/SELECT 1
read          /*/ */ SELECT 1
read          SELECT 1 -- FOR UPDATE
read          SELECT 1 # FOR UPDATE
read          SELECT 1 /* FOR UPDATE */
read          SELECT 'FOR UPDATE'
read          SELECT "INTO OUTFILE"
read          SELECT 1 AS `FOR UPDATE`
read          SELECT 'it''s' AS a, "say ""x""" AS b
read          SELECT '\' FOR UPDATE -- '
read          SELECT "\" FOR UPDATE -- "
read          SELECT 'a' 'b'
read          SELECT `v` FROM `t`
read          SELECT t.v FROM shop.t
read          SELECT t . v FROM shop . t
read          SELECT `t`.`v` FROM `shop`.`t`
read          SELECT .t.v FROM .t
read          SELECT * FROM t
read          SELECT t.* FROM t
read          SELECT * FROM t WHERE id = 1
read          SELECT * FROM t WHERE id = 1 LIMIT 1
read          SELECT * FROM t WHERE id IN (1, 2, 3) ORDER BY id DESC LIMIT 10 OFFSET 20
read          SELECT * FROM t ORDER BY id LIMIT 2, 3
read          SELECT DISTINCT v FROM t
read          SELECT DISTINCTROW v FROM t
read          SELECT ALL v FROM t
read          SELECT SQL_NO_CACHE v FROM t
read          SELECT SQL_CALC_FOUND_ROWS v FROM t LIMIT 1
read          SELECT SQL_SMALL_RESULT SQL_BUFFER_RESULT v FROM t
read          SELECT HIGH_PRIORITY STRAIGHT_JOIN t.v FROM t JOIN u ON u.t_id = t.id
read          SELECT COUNT(*), SUM(v), MIN(v), MAX(v), AVG(v) FROM t
read          SELECT v, COUNT(*) FROM t GROUP BY v HAVING COUNT(*) > 1
read          SELECT v, COUNT(*) FROM t GROUP BY v WITH ROLLUP
read          SELECT GROUP_CONCAT(DISTINCT name ORDER BY name DESC SEPARATOR ', ') FROM t
read          SELECT * FROM t, u
read          SELECT * FROM t, u WHERE t.id = u.t_id
read          SELECT * FROM t JOIN u ON t.id = u.t_id
read          SELECT * FROM t INNER JOIN u USING (id)
read          SELECT * FROM t LEFT OUTER JOIN u ON t.id = u.t_id
read          SELECT * FROM t RIGHT JOIN u ON t.id = u.t_id AND u.id > 0
read          SELECT * FROM t NATURAL JOIN u
read          SELECT * FROM t CROSS JOIN u
read          SELECT * FROM (t JOIN u ON t.id = u.t_id)
read          SELECT * FROM (t, u)
read          SELECT * FROM {OJ t LEFT OUTER JOIN u ON t.id = u.t_id}
read          SELECT {d '2024-01-01'}, {ts '2024-01-01 00:00:00'}
read          SELECT * FROM t AS a STRAIGHT_JOIN u AS b
read          SELECT * FROM t USE INDEX (PRIMARY)
read          SELECT * FROM t FORCE INDEX FOR ORDER BY (PRIMARY) ORDER BY id
read          SELECT * FROM t IGNORE KEY FOR JOIN (PRIMARY)
read          SELECT * FROM (SELECT v FROM t) d
read          SELECT * FROM (SELECT v FROM t) AS d (w)
read          SELECT * FROM t WHERE id = (SELECT MAX(id) FROM t)
read          SELECT * FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.t_id = t.id)
read          SELECT * FROM t WHERE NOT EXISTS(SELECT 1 FROM u)
read          SELECT * FROM t WHERE id = ANY (SELECT t_id FROM u)
read          SELECT * FROM t WHERE id > ALL (SELECT t_id FROM u)
read          SELECT * FROM t WHERE id <> SOME(SELECT t_id FROM u)
read          SELECT * FROM t WHERE (id, v) IN ((1, 2), (3, 4))
read          SELECT * FROM t WHERE v BETWEEN 1 AND 2 OR v IS NULL AND NOT (v <=> 3)
read          SELECT * FROM t WHERE name LIKE 'a%' ESCAPE '!'
read          SELECT * FROM t WHERE name REGEXP '^a' XOR name RLIKE 'b'
read          SELECT * FROM t WHERE name COLLATE utf8mb4_bin = 'a'
read          SELECT 1 UNION SELECT 2
read          SELECT 1 UNION ALL (SELECT 2) ORDER BY 1 LIMIT 1
read          (SELECT 1)
read          (SELECT 1) UNION (SELECT 2)
read          ((SELECT 1))
read          (SELECT v FROM t LIMIT 1) UNION ALL (SELECT id FROM u LIMIT 1) ORDER BY 1
read          SELECT 1 INTERSECT SELECT 1
read          SELECT 1 EXCEPT SELECT 2
read          WITH c AS (SELECT 1 AS n) SELECT * FROM c
read          WITH c (a, b) AS (SELECT 1, 2) SELECT * FROM c
read          WITH c AS (SELECT 1), d (x) AS (SELECT 2) SELECT * FROM c, d
read          WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5) SELECT * FROM c
read          WITH c AS (WITH d AS (SELECT 1) SELECT * FROM d) SELECT * FROM c
read          WITH c AS (SELECT 1) (SELECT * FROM c)
read          SELECT * FROM (WITH c AS (SELECT 1 AS n) SELECT n FROM c) d
read          SELECT CASE WHEN v > 1 THEN 'a' ELSE 'b' END FROM t
read          SELECT CASE v WHEN 1 THEN (2) END FROM t
read          SELECT IF(v > 1, 'a', 'b'), IFNULL(v, 0), NULLIF(v, 1), COALESCE(v, 1) FROM t
read          SELECT REPLACE(name, 'a', 'b'), INSERT(name, 1, 1, 'x'), TRUNCATE(1.5, 0) FROM t
read          SELECT LEFT(name, 1), RIGHT(name, 1), REPEAT('a', 3), MOD(7, 3), 7 MOD 3, 7 DIV 3 FROM t
read          SELECT CAST('1' AS SIGNED), CAST(1.5 AS DECIMAL(10, 2)), CAST('a' AS CHAR(10)), CAST(NULL AS DATETIME(6))
read          SELECT CONVERT('a' USING utf8mb4), CONVERT('1', SIGNED), CONVERT('a', CHAR CHARACTER SET utf8mb4)
read          SELECT CONVERT(1, DECIMAL(10, 2)), CONVERT('2024-01-01', DATE)
read          SELECT BINARY 'a', _utf8mb4'a', _latin1 'b', N'c', X'41', x'41', 0x41, b'01', B'01', 0b01
read          SELECT _utf8mb4'FOR UPDATE', N'FOR UPDATE'
read          SELECT DATE '2024-01-01', TIME '10:00:00', TIMESTAMP '2024-01-01 00:00:00'
read          SELECT '2024-01-01' + INTERVAL 1 DAY, DATE_ADD('2024-01-01', INTERVAL 1 MONTH)
read          SELECT EXTRACT(YEAR FROM '2024-01-01'), TRIM(LEADING 'x' FROM 'xa'), TRIM('a' FROM 'ab')
read          SELECT SUBSTRING('abc' FROM 2 FOR 1), SUBSTR('abc', 2), MID('abc', 1, 1), POSITION('a' IN 'abc')
read          SELECT TIMESTAMPADD(DAY, 1, '2024-01-01'), TIMESTAMPDIFF(HOUR, '2024-01-01', '2024-01-02')
read          SELECT JSON_EXTRACT('{"a": 1}', '$.a'), JSON_OBJECT('a', 1), JSON_ARRAY(1, 2)
read          SELECT JSON_ARRAYAGG(v), JSON_OBJECTAGG(id, v) FROM t
read          SELECT j.n FROM JSON_TABLE('[1,2]', '$[*]' COLUMNS (n INT PATH '$', o FOR ORDINALITY)) j
read          SELECT j.n FROM t, JSON_TABLE('[1]', '$[*]' COLUMNS(n VARCHAR(10) PATH '$' DEFAULT '1' ON EMPTY)) AS j
read          SELECT ROW_NUMBER() OVER (PARTITION BY v ORDER BY id), RANK() OVER w FROM t WINDOW w AS (ORDER BY v)
read          SELECT SUM(v) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW), LAG(v) OVER (ORDER BY id) FROM t
read          SELECT NOW(), SYSDATE(), CURDATE(), CURTIME(), UTC_TIMESTAMP(), UNIX_TIMESTAMP()
read          SELECT CURRENT_TIMESTAMP, CURRENT_DATE, CURRENT_TIME, LOCALTIME, LOCALTIMESTAMP, UTC_DATE
read          SELECT CURRENT_TIMESTAMP(), CURRENT_TIMESTAMP (6), NOW(6)
read          SELECT RAND(), RAND(1), UUID(), UUID_SHORT()
read          SELECT SLEEP(0), BENCHMARK(1, 1 + 1)
read          SELECT DATABASE(), SCHEMA(), USER(), CURRENT_USER(), CURRENT_USER, SESSION_USER(), SYSTEM_USER(), VERSION()
read          SELECT @@version, @@server_id, @@hostname, @@port
# Health checks tell a primary from a replica by these.
primary_read  SELECT @@read_only
primary_read  SELECT @@GLOBAL.read_only, @@server_id
primary_read  SELECT @@global . `READ_ONLY`
primary_read  SELECT @@innodb_read_only
primary_read  SELECT 1 FROM t WHERE @@read_only = 0
primary_read  SHOW VARIABLES LIKE 'read_only'
primary_read  SHOW GLOBAL VARIABLES WHERE Variable_name IN ('read_only', 'super_read_only')
primary_read! SELECT * FROM performance_schema.global_variables WHERE VARIABLE_NAME = 'read_only'
primary_read! SELECT * FROM information_schema.GLOBAL_VARIABLES WHERE VARIABLE_NAME = 'READ_ONLY'
primary_read! SHOW SLAVE STATUS
primary_read! SHOW REPLICA STATUS
primary_read! SHOW RELAYLOG EVENTS
primary_read! SELECT * FROM information_schema.OPTIMIZER_TRACE
read          SELECT @@sql_mode, @@session.sql_mode, @@local.time_zone, @@SESSION.`sql_mode`
primary_read  SELECT @@GLOBAL.`max_connections` + 1
primary_read  SELECT @@max_connections, @@`Event_Scheduler`
read          SELECT @@global.server_id
read          SELECT * FROM .t
read          SELECT * FROM {oj t LEFT JOIN u ON t.id = u.t_id}
read          SELECT @@character_set_client, @@collation_connection
read          SELECT @a
read          SELECT @a, @`b c`, @'d', @"e", @a.b, @_1, @$x
read          SELECT * FROM t WHERE id = @a
read          SELECT * FROM vw
read          SELECT * FROM information_schema.tables WHERE table_schema = 'shop'
read          SELECT TABLE_NAME FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = DATABASE()
read          SELECT * FROM information_schema.columns WHERE table_name = 't'
read          SELECT ST_AsText(ST_GeomFromText('POINT(1 2)')), ST_X(POINT(v, id)) FROM t
read          SELECT MATCH (name) AGAINST ('a' IN BOOLEAN MODE) FROM t
read          SELECT * FROM t WHERE MATCH(name) AGAINST('a')
read          SELECT AES_ENCRYPT('a', 'k'), SHA2('a', 256), CRC32('a'), HEX('a'), TO_BASE64('a')
read          SELECT INET_ATON('127.0.0.1'), INET6_NTOA(INET6_ATON('::1')), FIND_IN_SET('a', 'a,b')
read          SELECT `concat`('a', 'b'), `abs`(-1), CONCAT ('a', 'b'), ABS (-1), `CONCAT` ('a')
read          SELECT VALUES(v) FROM t
read          SELECT NULL IS NULL, TRUE, FALSE, NOT TRUE, !1, ~1, -1, +1, 1 << 2, 1 | 2, 1 & 3, 1 ^ 2
read          SELECT 1 - -1, 1--1, 5 % 2, 1e5, 1.5e-3, .5, 1., 0xFF, 1 != 2, 1 <> 2, 1 <=> 1
read          SELECT 1 AS f, 2 AS get_lock, 3 AS nextval_of, 4 AS `update`
read          SELECT v AS lock_, t.name AS `into` FROM t
read          SELECT t.id, `select` FROM t JOIN (SELECT 1 AS `select`) x
read          SELECT 1 FROM DUAL
read          SELECT 1 /*+ a hint */
read          SELECT /*+ NO_INDEX_MERGE(t) */ * FROM t
read          SELECT /*!40001 SQL_NO_CACHE */ * FROM t
read          SELECT /*! 1 */
read          /*!40000 SELECT */ 1
read          SELECT 1 /*!40000 , 2 */ /*!40001 , 3 */
read          SELECT '/*! DELETE */'
read          SELECT 1 -- /*! INTO OUTFILE 'x'⏎
read          SELECT 'é', '日本', `v` AS `é` FROM t
read          SELECT v AS größe FROM t
read          SELECT 'a␀b'
read          SELECT 1; SELECT 2
read          SELECT 1; SELECT * FROM t; SELECT 'a;b';
read          SELECT 1 AS a, 'FOR UPDATE' AS `x;y`
read          SELECT 'rwsplit: primary'
read          SELECT 1 /* rwsplit: primary */
read          SELECT 1 /* rwsplit: nonsense */
read          SELECT * FROM t WHERE name = ';' -- ;
read          SELECT v FROM t LIMIT 0
read          SELECT id, v, (SELECT COUNT(*) FROM u WHERE u.t_id = t.id) AS n FROM t
read          SELECT * FROM t a JOIN t b ON a.id = b.id JOIN u c ON c.t_id = b.id, u d WHERE a.v IN (SELECT v FROM t)
read          SELECT `t`.`id`, `t`.`v` FROM `t` WHERE `t`.`id` IN (1,2,3,4,5,6,7,8,9,10) ORDER BY `t`.`id` ASC LIMIT 21
read          SELECT t.id AS t_id, t.v AS t_v FROM t WHERE t.v = 5 AND t.name IN ('a', 'b') ORDER BY t.id
read          SELECT COUNT(*) AS `__count` FROM `t`
read          SELECT (1) AS `a` FROM `t` WHERE `t`.`v` = 1 LIMIT 1
read[ANSI_QUOTES]  SELECT "v" FROM "t"
read[ANSI_QUOTES]  SELECT "v" AS "FOR UPDATE" FROM "t"
read[ANSI_QUOTES]  SELECT 'a\'b', "t"."v" FROM "shop"."t"
read[ANSI_QUOTES]  SELECT 1 AS "a\"
read[NO_BACKSLASH_ESCAPES]  SELECT 'a\'
read[NO_BACKSLASH_ESCAPES]  SELECT 'a\', 'FOR UPDATE', '\'
read[IGNORE_SPACE]  SELECT COUNT (*) FROM t
read[IGNORE_SPACE]  SELECT NOW (), MAX (v) FROM t

# SHOW, DESCRIBE, EXPLAIN
read          SHOW TABLES
read          SHOW FULL TABLES FROM shop
read          SHOW TABLES LIKE 't%'
read          SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'
read          SHOW DATABASES
read          SHOW SCHEMAS LIKE 'shop'
read          SHOW COLUMNS FROM t
read          SHOW FULL COLUMNS FROM t FROM shop
read          SHOW FIELDS IN t
read          SHOW INDEX FROM t
read          SHOW KEYS FROM t WHERE Key_name = 'PRIMARY'
read          SHOW INDEXES IN shop.t
read          SHOW CREATE TABLE t
read          SHOW CREATE VIEW vw
read          SHOW CREATE DATABASE shop
read          SHOW CREATE FUNCTION fr
read          SHOW CREATE PROCEDURE p
read          SHOW TABLE STATUS LIKE 't'
read          SHOW GRANTS
read          SHOW GRANTS FOR CURRENT_USER()
read          SHOW CHARACTER SET
read          SHOW CHARSET LIKE 'utf8%'
read          SHOW COLLATION LIKE 'utf8mb4%'
read          SHOW PRIVILEGES
read          SHOW TRIGGERS
primary_read  SHOW EVENTS
primary_read  SHOW CREATE EVENT e
primary_read  SELECT event_name, status FROM information_schema.events
read          SHOW PROCEDURE STATUS WHERE Db = 'shop'
read          SHOW FUNCTION STATUS LIKE 'f%'
read          DESCRIBE t
read          DESC t
read          DESC shop.t
read          DESCRIBE `t` v
read          DESCRIBE t 'v%'
read          EXPLAIN t
read          EXPLAIN SELECT * FROM t
read          EXPLAIN FORMAT=JSON SELECT * FROM t
read          DESC SELECT 1
read          EXPLAIN (SELECT 1)
read          EXPLAIN WITH c AS (SELECT 1) SELECT * FROM c
read          CHECKSUM TABLE t
read          CHECKSUM TABLE t, shop.u QUICK
read          HELP 'SELECT'

# Locks of rows, at any depth
primary_read  SELECT * FROM t FOR UPDATE
primary_read  SELECT * FROM t WHERE id = 1 FOR UPDATE;
primary_read  SELECT * FROM t for⏎update
primary_read  SELECT * FROM t FOR/* c */UPDATE
primary_read  SELECT * FROM t FOR -- c⏎UPDATE
primary_read  SELECT * FROM t FOR UPDATE /* the end */ -- x
primary_read  SELECT * FROM t LOCK IN SHARE MODE
primary_read  SELECT * FROM t LOCK⏎IN	SHARE MODE;
primary_read  SELECT * FROM t FOR UPDATE NOWAIT
primary_read  SELECT * FROM t FOR UPDATE SKIP LOCKED
primary_read  (SELECT * FROM t FOR UPDATE)
primary_read  ((SELECT * FROM t FOR UPDATE))
primary_read  (SELECT 1) UNION (SELECT id FROM t FOR UPDATE)
primary_read  SELECT * FROM (SELECT * FROM t FOR UPDATE) d
primary_read  SELECT * FROM u WHERE t_id IN (SELECT id FROM t LOCK IN SHARE MODE)
primary_read  WITH c AS (SELECT * FROM t) SELECT * FROM c, t FOR UPDATE
primary_read  WITH c AS (SELECT * FROM t FOR UPDATE) SELECT * FROM c
primary_read  SELECT id FROM t WHERE 1.FOR UPDATE
primary_read  SELECT 1 FROM t WHERE 1e5FOR UPDATE
primary_read  SELECT 1 FROM t WHERE .5FOR UPDATE
primary_read  SELECT id FROM t WHERE name = ''FOR UPDATE
primary_read  SELECT id FROM `t`FOR UPDATE
primary_read  SELECT 1 FROM t WHERE (1)FOR UPDATE
primary_read  SELECT 1 FROM t /*! FOR UPDATE */
primary_read  SELECT 1 FROM t /*!40000 FOR UPDATE */
primary_read  SELECT 1 FROM t /*!40000 FOR *//*! UPDATE */
primary_read  SELECT 1 FROM t WHERE 'a\\' FOR UPDATE
primary_read[NO_BACKSLASH_ESCAPES]  SELECT 1 FROM t WHERE '\' FOR UPDATE
primary_read[ANSI_QUOTES]  SELECT "id" FROM "t" FOR UPDATE

# What belongs to the primary's connection
primary_read  SELECT LAST_INSERT_ID()
primary_read  SELECT last_insert_id() AS id
primary_read  SELECT `last_insert_id`()
primary_read  SELECT LAST_INSERT_ID ( )
primary_read  SELECT LAST_INSERT_ID(77)
primary_read  SELECT LAST_INSERT_ID(v) FROM t
primary_read  SELECT @@last_insert_id
primary_read  SELECT @@identity, @@insert_id
primary_read  SELECT @@session.last_insert_id
primary_read  SELECT CONNECTION_ID()
primary_read  SELECT `connection_id`()
primary_read  SELECT @@autocommit
primary_read  SELECT @@session.autocommit
primary_read  SELECT @@timestamp
primary_read  SELECT @@pseudo_thread_id
primary_read  SELECT @@session_track_schema
primary_read  SELECT @@sql_log_bin
primary_read  SELECT @@rand_seed1
primary_read  SELECT GET_LOCK('a', 0)
primary_read  SELECT get_lock('a', 0)
primary_read  SELECT `get_lock`('a', 0)
primary_read  SELECT GET_LOCK ('a', 0)
primary_read  SELECT GET_LOCK/**/('a', 0)
primary_read  SELECT 1 FROM t WHERE GET_LOCK('a', 0)
primary_read  SELECT (SELECT GET_LOCK('a', 0))
primary_read  SELECT CONCAT(GET_LOCK(CONCAT('a', 'b'), 0), 'x')
primary_read  SELECT RELEASE_LOCK('a')
primary_read  SELECT RELEASE_ALL_LOCKS()
primary_read  SELECT IS_FREE_LOCK('a'), IS_USED_LOCK('a')
primary_read  SELECT LOAD_FILE('/nowhere')
primary_read  SHOW VARIABLES
primary_read  SHOW SESSION VARIABLES LIKE 'sql_mode'
primary_read  SHOW GLOBAL VARIABLES LIKE 'max%'
primary_read  SHOW STATUS
primary_read  SHOW GLOBAL STATUS LIKE 'Threads%'
primary_read  SHOW PROCESSLIST
primary_read  SHOW FULL PROCESSLIST
primary_read  SHOW ENGINES
primary_read  SHOW STORAGE ENGINES
primary_read  SHOW ENGINE INNODB STATUS
primary_read  SHOW PLUGINS
primary_read  SHOW OPEN TABLES
primary_read  SHOW BINARY LOGS
primary_read  SHOW BINLOG EVENTS LIMIT 1
primary_read  SELECT * FROM information_schema.processlist
primary_read  SELECT * FROM INFORMATION_SCHEMA.PROCESSLIST WHERE ID = CONNECTION_ID()
primary_read  SELECT * FROM information_schema.innodb_trx
primary_read  SELECT * FROM performance_schema.threads
primary_read  SELECT * FROM `performance_schema`.`threads`
primary_read  SELECT * FROM t, performance_schema.threads
primary_read  SELECT * FROM sys.session
primary_read  XA RECOVER
primary_read  DO 1
primary_read  DO SLEEP(0)
primary_read  DO GET_LOCK('a', 0)
primary_read  DO RELEASE_LOCK('a')
primary_read  EXPLAIN INSERT INTO t VALUES (1, 2, 'a')
primary_read  EXPLAIN UPDATE t SET v = 1
primary_read  EXPLAIN DELETE FROM t
primary_read  EXPLAIN REPLACE INTO t VALUES (1, 2, 'a')
primary_read  DESCRIBE UPDATE t SET v = 1
primary_read  EXPLAIN SELECT * FROM t FOR UPDATE
primary_read  EXPLAIN FORMAT=JSON DELETE FROM t WHERE id = 1
primary_read  HANDLER t OPEN
primary_read  HANDLER t OPEN AS h
primary_read  HANDLER t READ FIRST
primary_read  HANDLER t READ `PRIMARY` = (1)
primary_read  HANDLER t CLOSE
primary_read  SELECT 1; SELECT LAST_INSERT_ID()
primary_read  SELECT * FROM t FOR UPDATE; SELECT 1

# Stored functions: what no built-in is called
primary_read  SELECT fr(1)
primary_read  SELECT fw(1)
primary_read  SELECT fn()
primary_read  SELECT shop.fr(1)
primary_read  SELECT `shop`.`fr`(1)
primary_read  SELECT shop . fr (1)
primary_read  SELECT `fr`(1)
primary_read  SELECT fr (1)
primary_read  SELECT fr/**/(1)
primary_read  SELECT fr⏎(1)
primary_read  SELECT * FROM t WHERE v = fr(1)
primary_read  SELECT * FROM t WHERE id IN (SELECT fw(2))
primary_read  SELECT * FROM t ORDER BY fr(id)
primary_read  SELECT v FROM t GROUP BY fr(v)
primary_read  SELECT v FROM t GROUP BY v HAVING fr(v) > 0
primary_read  SELECT * FROM t JOIN u ON t.id = fr(u.id)
primary_read  SELECT COUNT(fr(id)) FROM t
primary_read  SELECT shop.now()
primary_read  SELECT `now`()
primary_read  SELECT NOW ()
primary_read  SELECT now /* c */ ()
primary_read  SELECT COUNT (id) FROM t
primary_read  SELECT `count`(id) FROM t
primary_read  SELECT `left`('a', 1)
primary_read  SELECT no_such_function(1)
primary_read  SELECT 1 UNION SELECT fr(1)
primary_read  WITH c AS (SELECT fw(1)) SELECT * FROM c
primary_read  DO fw(1)
primary_read  EXPLAIN SELECT fr(1)
primary_read[IGNORE_SPACE]  SELECT NOW/**/()
primary_read[IGNORE_SPACE]  SELECT fr (1)
primary_read[ANSI_QUOTES]  SELECT "fr"(1)

# Variables set inside a query
primary_read  SELECT @a := 1
primary_read  SELECT @a:=@a+1, v FROM t
primary_read  SELECT @`a` := 1
primary_read  SELECT v FROM t WHERE (@a := v) > 1
primary_read  SELECT * FROM t, (SELECT @r := 0) i
primary_read  SELECT 1 INTO @a
primary_read  SELECT v, id INTO @a, @b FROM t LIMIT 1
primary_read  SELECT v FROM t LIMIT 1 INTO @a
primary_read  SELECT v FROM t ORDER BY id LIMIT 1 INTO @a, @b_
primary_read  (SELECT 1 INTO @a)

# What goes beyond the result
write         SELECT 1 INTO OUTFILE '/nowhere/x'
write         SELECT * INTO OUTFILE '/nowhere/x' FROM t
write         SELECT * FROM t INTO OUTFILE '/nowhere/x' FIELDS TERMINATED BY ','
write         SELECT 'a' INTO DUMPFILE '/nowhere/y'
write         SELECT * FROM t INTO/**/OUTFILE '/nowhere/x'

# About the statement before
follow_read   SELECT FOUND_ROWS()
follow_read   SELECT `found_rows`()
follow_read   SELECT ROW_COUNT()
follow_read   SELECT @@warning_count
follow_read   SELECT @@session.error_count
follow_read   SHOW WARNINGS
follow_read   SHOW WARNINGS LIMIT 10
follow_read   SHOW ERRORS
follow_read   SHOW COUNT(*) WARNINGS
follow_read   SHOW COUNT(*) ERRORS
primary_read  SHOW PROFILES
primary_read  SHOW PROFILE FOR QUERY 1
follow_read   GET DIAGNOSTICS @n = NUMBER
follow_read   GET CURRENT DIAGNOSTICS CONDITION 1 @m = MESSAGE_TEXT

# DML
write         INSERT INTO t VALUES (101, 1, 'a')
write         INSERT INTO t (id, v) VALUES (102, 1), (103, 2)
write         INSERT t SET id = 104, v = 1
write         INSERT IGNORE INTO shop.t (id) VALUES (105)
write         INSERT LOW_PRIORITY INTO t (id) VALUES (106)
write         INSERT INTO t (id, v) SELECT id + 1000, v FROM t
write         INSERT INTO t (id, v) VALUES (107, 1) ON DUPLICATE KEY UPDATE v = VALUES(v)
write         INSERT INTO t (id, v) VALUES (108, @x := 5)
write         insert into t(id)values(109)
write         INSERT INTO t () VALUES ()
write         REPLACE INTO t VALUES (110, 1, 'a')
write         REPLACE t SELECT 111, 1, 'b'
write         UPDATE t SET v = v + 1
write         UPDATE t SET v = 1 WHERE id = 1 LIMIT 1
write         UPDATE LOW_PRIORITY IGNORE t SET v = 1
write         UPDATE t JOIN u ON u.t_id = t.id SET t.v = 2
write         UPDATE t, u SET t.v = 3 WHERE t.id = u.t_id
write         UPDATE t SET v = (@y := 6)
write         DELETE FROM t WHERE id = 99
write         DELETE t FROM t JOIN u ON u.t_id = t.id
write         DELETE FROM t USING t, u WHERE t.id = u.t_id
write         DELETE QUICK FROM t LIMIT 1
write         /* c */ INSERT INTO t (id) VALUES (112)
write         -- c⏎INSERT INTO t (id) VALUES (113)
write         /*! INSERT INTO t (id) VALUES (114) */
write         /*!40000 INSERT INTO t (id) VALUES (115) */
write         /*!INSERT*/ INTO t (id) VALUES (116)
write         /*!40000 DELETE */ FROM t
write         LOAD DATA INFILE '/nowhere' INTO TABLE t
write         LOAD DATA LOCAL INFILE '/nowhere' INTO TABLE t (id, @v) SET v = @v
write         LOAD XML INFILE '/nowhere' INTO TABLE t
write         TRUNCATE t
write         TRUNCATE TABLE u
write         SELECT 1; INSERT INTO t (id) VALUES (117)
write         INSERT INTO t (id) VALUES (118); SELECT 1
write         SELECT 1; SET @a = 1
write         SELECT 1; COMMIT
write         SELECT 1;DELETE FROM t;
write         SET @a = 1; SELECT @a

# Procedures
write         CALL p()
write         CALL p
write         CALL shop.p()
write         CALL pw(1)
write         CALL pv()
write         CALL po(@out)
write         CALL no_such_procedure()

# Definitions
write         CREATE TABLE made (id INT)
write         CREATE TABLE IF NOT EXISTS made2 (id INT PRIMARY KEY, v DECIMAL(10, 2) DEFAULT 1)
write         CREATE TABLE made3 LIKE t
write         CREATE TABLE made4 AS SELECT * FROM t
write         CREATE TEMPORARY TABLE tmp (id INT)
write         CREATE TEMPORARY TABLE tmp2 AS SELECT * FROM t
write         CREATE TEMPORARY TABLE IF NOT EXISTS shop.tmp3 (id INT)
write         CREATE VIEW made_view AS SELECT 1
write         CREATE OR REPLACE VIEW made_view2 AS SELECT * FROM t
write         CREATE INDEX made_index ON t (v)
write         CREATE UNIQUE INDEX made_index2 ON u (t_id)
write         CREATE DATABASE made_db
write         CREATE FUNCTION made_f() RETURNS INT RETURN 1
write         CREATE FUNCTION made_f2() RETURNS INT BEGIN SET @a = 1; RETURN 1; END
write         CREATE PROCEDURE made_p() SELECT 1
write         CREATE PROCEDURE made_p2() BEGIN SELECT 1; SELECT 2; END
write         CREATE DEFINER = CURRENT_USER TRIGGER made_tr BEFORE INSERT ON t FOR EACH ROW SET NEW.v = 1
write         CREATE EVENT made_e ON SCHEDULE EVERY 1 DAY DO SELECT 1
write         CREATE USER made_user
write         CREATE ROLE made_role
write         ALTER TABLE t ADD COLUMN w INT
write         ALTER TABLE t RENAME TO t9
write         ALTER TABLE t RENAME COLUMN v TO w
write         ALTER DATABASE shop CHARACTER SET utf8mb4
write         ALTER VIEW vw AS SELECT 2 AS a
write         RENAME TABLE t TO t8
write         RENAME TABLE t TO t7, u TO u7
write         DROP TABLE IF EXISTS no_such_table
write         DROP TABLE u
write         DROP TABLE t, u
write         DROP TEMPORARY TABLE IF EXISTS tmp
write         DROP VIEW vw
write         DROP INDEX by_name ON t
write         DROP DATABASE IF EXISTS no_such_db
write         DROP FUNCTION IF EXISTS no_such_function
write         DROP PROCEDURE p
write         DROP USER IF EXISTS nobody
write         ANALYZE TABLE t
write         OPTIMIZE TABLE t
write         REPAIR TABLE t
write         CHECK TABLE t
write         ANALYZE LOCAL TABLE t
write         GRANT SELECT ON shop.* TO nobody
write         REVOKE SELECT ON shop.* FROM nobody
write!        SET PASSWORD = 'x'

# Administration
write         FLUSH TABLES
write         FLUSH STATUS
write         FLUSH PRIVILEGES
write         FLUSH LOCAL TABLES t
write         FLUSH TABLES WITH READ LOCK
write         FLUSH TABLES t WITH READ LOCK
write         FLUSH TABLES t FOR EXPORT
write         FLUSH LOGS
write!        RESET MASTER
write!        PURGE BINARY LOGS BEFORE '2000-01-01'
write!        KILL 1
write!        KILL QUERY 1
write!        KILL CONNECTION CONNECTION_ID()
write!        SHUTDOWN
write!        INSTALL PLUGIN a SONAME 'a.so'
write!        UNINSTALL PLUGIN a
write!        START SLAVE
write!        STOP SLAVE
write!        CHANGE MASTER TO MASTER_HOST = 'a'
write         BINLOG 'x'
write         CACHE INDEX t IN hot
write         LOAD INDEX INTO CACHE t
write         SET GLOBAL max_connections = 200
write         SET @@GLOBAL.max_connections = 200
write         SET @@global.max_connections = 200, GLOBAL wait_timeout = 100
write         SET GLOBAL TRANSACTION READ ONLY
write         SIGNAL SQLSTATE '45000'

# Locks and transactions
write         LOCK TABLES t READ
write         LOCK TABLES t WRITE, u AS x READ LOCAL
write         LOCK TABLE t READ
write         UNLOCK TABLES
transaction   BEGIN
transaction   BEGIN WORK
transaction   begin;
transaction   START TRANSACTION
transaction   START TRANSACTION READ ONLY
transaction   START TRANSACTION READ WRITE
transaction   START TRANSACTION WITH CONSISTENT SNAPSHOT
transaction   START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY
transaction   START/* c */TRANSACTION
transaction   COMMIT
transaction   COMMIT WORK
transaction   COMMIT AND CHAIN
transaction   COMMIT AND NO CHAIN NO RELEASE
transaction   COMMIT RELEASE
transaction   ROLLBACK
transaction   ROLLBACK AND CHAIN
transaction   ROLLBACK TO a
transaction   ROLLBACK WORK TO SAVEPOINT a
transaction   SAVEPOINT a
transaction   RELEASE SAVEPOINT a
transaction   /*!40000 START TRANSACTION */
transaction   XA START 'x'
transaction   XA BEGIN 'x'
transaction   XA END 'x'
transaction   XA PREPARE 'x'
transaction   XA COMMIT 'x'
transaction   XA COMMIT 'x' ONE PHASE
transaction   XA ROLLBACK 'x'
transaction   SET TRANSACTION READ ONLY
transaction   SET TRANSACTION ISOLATION LEVEL SERIALIZABLE
transaction   SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE

# The session
session       SET @a = 1
session       SET @a := 1
session       SET @a = 1, @b = @a + 1
session       SET @t = NOW()
session       SET @n = (SELECT MAX(id) FROM t)
session       SET @`a b` = 'x'
session       SET @l = GET_LOCK('a', 0)
session       SET @f = fw(1)
session       SET sql_mode = ''
session       SET SESSION sql_mode = 'ANSI'
session       SET LOCAL sql_mode = 'ANSI'
session       SET @@sql_mode = ''
session       SET @@session.sql_mode = ''
session       SET @@local.sql_mode = ''
session       SET sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')
session       SET @old = @@sql_mode, sql_mode = 'NO_AUTO_VALUE_ON_ZERO'
session       /*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */
session       /*!40101 SET NAMES utf8mb4 */;
session       SET NAMES utf8mb4
session       SET NAMES 'utf8mb4' COLLATE 'utf8mb4_bin'
session       SET NAMES DEFAULT
session       SET CHARACTER SET utf8mb4
session       SET CHARSET utf8mb4
session       SET NAMES utf8mb4, @a = 1, sql_mode = DEFAULT
session       SET autocommit = 0
session       SET autocommit=1
session       SET @@session.autocommit = OFF
session       SET AUTOCOMMIT = FALSE, sql_mode = ''
session       SET SESSION TRANSACTION READ ONLY
session       SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE
session       SET LOCAL TRANSACTION READ WRITE
session       SET time_zone = '+00:00'
session       SET foreign_key_checks = 0, unique_checks = 0
session       SET GLOBAL max_connections = 100, SESSION sql_mode = ''
session       SET timestamp = 1
session       SET insert_id = 5
session       SET last_insert_id = 5
session       SET character_set_results = NULL
session       SET lc_time_names = de_DE
session       SET big_tables = DEFAULT
session       SET ROLE NONE
session       SET ROLE some_role
session       USE shop
session       USE `shop`
session       use shop;
session       /* c */ USE shop
session       PREPARE s FROM 'SELECT 1'
session       PREPARE s FROM 'INSERT INTO t VALUES (?, 1, 2)'
session       PREPARE s FROM @text
session       DEALLOCATE PREPARE s
session       DROP PREPARE s
write         EXECUTE s
write         EXECUTE s USING @a, @b

# Not understood
unknown       SELEC 1
unknown       ;
unknown       ; SELECT 1
unknown       SELECT 1;; SELECT 2
unknown       /* only a comment */
unknown       -- only a comment
unknown       SELECT 'never closed
unknown       SELECT `never closed
unknown       SELECT 1 /* never closed
unknown       SELECT 1 INTO a
unknown       SELECT 1 INTO
unknown       FROM t SELECT 1
unknown       1
unknown       'SELECT 1'
unknown       `SELECT` 1
unknown       @a
unknown       SELECT 1 \G
unknown       SELECT ␀1
unknown       SELECT 1 -- c␀⏎FOR UPDATE
unknown       SELECT 1 FROM t DELETE
unknown       MERGE INTO t USING u ON 1
unknown       ſELECT 1
unknown       SELECT 1; SELEC 2
unknown       PREPARE
unknown       SET
unknown       SET @a
unknown       USE
unknown       SHOW
unknown       SHOW NONSENSE
unknown       SELECT 1 /*! /*! FOR UPDATE */ */
unknown       SELECT 1 /*! never closed
