# MariaDB's own. The sequence s is beside the schema of both.
read          VALUES (1, 2), (3, 4)
read          SELECT * FROM (VALUES (1, 2)) d
read          SELECT 1 FROM seq_1_to_10
read          SELECT * FROM t FOR SYSTEM_TIME AS OF NOW()
read          SELECT JSON_VALUE('{"a": 1}', '$.a'), JSON_QUERY('{"a": {}}', '$.a'), JSON_DETAILED('{}')
read          SELECT MD5('a'), SHA1('a'), PASSWORD('a'), NVL(NULL, 1), LENGTHB('a'), CHR(65)
read          SELECT MEDIAN(v) OVER (), PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY v) OVER () FROM t
read          SELECT ST_GeometryN(MULTIPOINT(POINT(v, id), POINT(id, v)), 1) FROM t
read          SELECT GLENGTH(LINESTRING(POINT(v, v), POINT(id, id))) FROM t
read          SELECT COLUMN_GET(COLUMN_CREATE('a', 1), 'a' AS INT), COLUMN_LIST(COLUMN_CREATE('a', 1))
read          SELECT ROWNUM() FROM t
read          SELECT REGEXP_REPLACE('a', 'b', 'c'), TO_CHAR(NOW()), ADD_MONTHS(NOW(), 1), SYS_GUID()
read          SELECT NATURAL_SORT_KEY('a'), SFORMAT('{}', 1), RANDOM_BYTES(4), JSON_OVERLAPS('[1]', '[1]')
read          SELECT * FROM t FETCH FIRST 1 ROWS ONLY
read          SELECT * FROM t ORDER BY id OFFSET 1 ROW FETCH NEXT 1 ROW WITH TIES
read          SELECT * FROM t LIMIT 1 ROWS EXAMINED 100
read          SELECT SQL_CACHE * FROM t
read          SELECT CAST(1 AS INTEGER), CAST('a' AS VARCHAR(10)), CAST('127.0.0.1' AS INET6)
read          SELECT DECODE_ORACLE(1, 2, 3), SUBSTR_ORACLE('abc', 1), TRIM_ORACLE('a')
read          SET STATEMENT max_statement_time = 1 FOR SELECT * FROM t
read          SET STATEMENT max_statement_time = 1, sort_buffer_size = 1024 FOR (SELECT 1)
read          SET STATEMENT sql_mode = 'ANSI' FOR SHOW TABLES
read          SELECT 1 /*!50701 FOR UPDATE */
read          SELECT 1 /*!80000 FOR UPDATE */
read          SELECT 1 /*M!100100 + 1 */
read          ANALYZE SELECT * FROM t
read          ANALYZE FORMAT=JSON SELECT * FROM t
read          EXPLAIN EXTENDED SELECT * FROM t
read          EXPLAIN PARTITIONS SELECT * FROM t
read          SHOW CREATE SEQUENCE s
read          SHOW PACKAGE STATUS
primary_read  SHOW ALL SLAVES STATUS
primary_read  SELECT @@gtid_slave_pos, @@gtid_binlog_pos
primary_read  SELECT @@GLOBAL.gtid_current_pos, @@GLOBAL.gtid_binlog_state
read          SELECT CURRENT_ROLE, CURRENT_ROLE()
read          SELECT $v FROM (SELECT 1 AS $v) d
read          SELECT * FROM s
read          (VALUES (1)) UNION SELECT 2
primary_read  SELECT * FROM t FOR UPDATE WAIT 1
primary_read  SELECT * FROM t LOCK IN SHARE MODE NOWAIT
primary_read  SELECT * FROM t LOCK IN SHARE MODE SKIP LOCKED
primary_read  SELECT @@last_gtid
primary_read  SELECT @@in_transaction
primary_read  SELECT @@tx_read_only
primary_read  SELECT @@gtid_seq_no
primary_read  SELECT @@skip_replication
primary_read  SELECT LASTVAL(s)
primary_read  SELECT PREVIOUS VALUE FOR s
primary_read  SELECT DEFAULT(v) FROM t
primary_read  SELECT MASTER_GTID_WAIT('', 1)
primary_read  SELECT BINLOG_GTID_POS('a', 1)
primary_read  SELECT ST_AsText(POINT(1, 2))
primary_read  SELECT ANY_VALUE(v) FROM t
primary_read  SELECT uuid_v7()
primary_read  SELECT * FROM mysql.gtid_slave_pos
primary_read  SELECT * FROM information_schema.session_status
primary_read  SELECT * FROM information_schema.innodb_metrics
primary_read  SHOW MASTER STATUS
primary_read  SHOW SLAVE HOSTS
primary_read  SHOW EXPLAIN FOR 1
primary_read  SHOW USER_STATISTICS
primary_read  SHOW LOCALES
primary_read  SET STATEMENT lock_wait_timeout = 1 FOR SELECT * FROM t FOR UPDATE
primary_read  SET STATEMENT max_statement_time = 1 FOR SELECT fw(1)
primary_read  SET STATEMENT max_statement_time = 1 FOR SELECT @a := 1
primary_read  SELECT GÉT_LOCK('a', 0)
primary_read  SELECT * FROM information_schema.profiling
write         SELECT NEXTVAL(s)
write         SELECT nextval (s)
write         SELECT NEXT VALUE FOR s
write         SELECT next value⏎for s
write         SELECT SETVAL(s, 100)
write         SELECT 1 + NEXT VALUE FOR shop.s FROM t
write         SELECT s.nextval
write         SELECT shop.s.nextval
write         DO NEXTVAL(s)
write         SET STATEMENT max_statement_time = 1 FOR INSERT INTO t (id) VALUES (301)
write         SET STATEMENT max_statement_time = 1 FOR UPDATE t SET v = 1
write         INSERT INTO t (id) VALUES (302) RETURNING id
write         REPLACE INTO t (id) VALUES (303) RETURNING id, v
write         DELETE FROM t WHERE id = 1 RETURNING *
write         INSERT DELAYED INTO t (id) VALUES (304)
write         /*M! INSERT INTO t (id) VALUES (305) */
write         /*M!100100 UPDATE t SET v = 9 */
write         BEGIN NOT ATOMIC SELECT 1; END
write         BEGIN NOT ATOMIC INSERT INTO t (id) VALUES (306); END
write         IF 1 THEN SELECT 1; END IF
write         FOR i IN 1..2 DO SELECT i; END FOR
write         WHILE 0 DO SELECT 1; END WHILE
write         EXECUTE IMMEDIATE 'SELECT 1'
write         EXECUTE IMMEDIATE 'INSERT INTO t (id) VALUES (307)'
write         EXECUTE IMMEDIATE @a
write         CREATE OR REPLACE TABLE made6 (id INT)
write         CREATE OR REPLACE TEMPORARY TABLE tmp6 (id INT)
write         CREATE SEQUENCE made_s
write         CREATE TEMPORARY SEQUENCE made_ts
write         DROP SEQUENCE s
write         ALTER SEQUENCE s RESTART 5
write         CREATE PACKAGE made_pkg AS END
write         ANALYZE UPDATE t SET v = 1
write         ANALYZE INSERT INTO t (id) VALUES (308)
write         ANALYZE TABLE t PERSISTENT FOR ALL
write         BACKUP STAGE START
write         BACKUP STAGE END
write         BACKUP LOCK t
write         BACKUP UNLOCK
write         FLUSH TABLES t WITH READ LOCK
write         FLUSH QUERY CACHE
write         RESET QUERY CACHE
write         SET DEFAULT ROLE NONE
write         CREATE OR REPLACE FUNCTION made_f3() RETURNS INT RETURN NEXTVAL(s)
transaction   SET @@tx_isolation = 'SERIALIZABLE'
session       SET SESSION tx_isolation = 'SERIALIZABLE'
session       SET sql_mode = ORACLE
session       SET SESSION sql_log_bin = 0
session       SET SESSION session_track_system_variables = ''
session       SET SESSION gtid_domain_id = 1
unknown       SELECT 1 FROM t PROCEDURE ANALYSE()
unknown       SET STATEMENT max_statement_time = 1
