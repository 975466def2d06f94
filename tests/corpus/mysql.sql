# MySQL's own.
read          SELECT v->'$.a' FROM (SELECT JSON_OBJECT('a', 1) AS v) d
read          SELECT v->>'$.a' FROM (SELECT JSON_OBJECT('a', 1) AS v) d
read          SELECT 1 MEMBER OF ('[1, 2]')
read          SELECT * FROM t, LATERAL (SELECT t.id) d
read          SELECT * FROM t JOIN LATERAL (SELECT t.id AS x) d ON 1
read          TABLE t
read          TABLE t ORDER BY id LIMIT 1
read          VALUES ROW(1, 2), ROW(3, 4)
read          VALUES ROW(1), ROW(2) UNION TABLE t
read          SELECT * FROM (VALUES ROW(1, 2)) AS d (a, b)
read          SELECT ANY_VALUE(v), UUID_TO_BIN(UUID()), BIN_TO_UUID(UUID_TO_BIN(UUID())), IS_UUID('a') FROM t
read          SELECT GTID_SUBSET('', ''), GTID_SUBTRACT('', '')
read          SELECT REGEXP_LIKE('a', 'b'), FORMAT_BYTES(1), ICU_VERSION(), RANDOM_BYTES(4)
read          SELECT JSON_VALUE('{"a": 1}', '$.a' RETURNING SIGNED), JSON_SCHEMA_VALID('{}', '{}')
read          SELECT /*+ SET_VAR(sort_buffer_size = 262144) MAX_EXECUTION_TIME(1000) */ * FROM t
read          SELECT /*+ SET_VAR(optimizer_switch = 'mrr=off') */ * FROM t
read          SELECT /*+ QB_NAME(`a b`) */ 1
read          SELECT CAST('[1]' AS JSON)
read          SELECT v, GROUPING(v), COUNT(*) FROM t GROUP BY v WITH ROLLUP
read          SELECT FIRST_VALUE(v) OVER (ORDER BY id), NTH_VALUE(v, 2) OVER (ORDER BY id) FROM t
primary_read  SELECT @@gtid_mode
primary_read  SELECT @@gtid_mode, @@gtid_executed, @@global.gtid_executed
primary_read  SELECT @@super_read_only
primary_read  SELECT @@GLOBAL.super_read_only OR @@GLOBAL.offline_mode
primary_read  SELECT GTID_SUBTRACT(@@GLOBAL.gtid_executed, @@GLOBAL.gtid_purged)
primary_read  SELECT @@gtid_owned
read          SELECT ST_Distance_Sphere(POINT(0, 0), POINT(1, 1)), ST_Latitude(ST_SRID(POINT(1, 2), 4326))
read          SELECT STATEMENT_DIGEST('SELECT 1'), VALIDATE_PASSWORD_STRENGTH('x')
read          SELECT 1 /*M! FOR UPDATE */
read          SELECT CURRENT_ROLE()
read          WITH c AS (TABLE t) TABLE c
read          EXPLAIN ANALYZE SELECT * FROM t
read          EXPLAIN FORMAT=TREE SELECT * FROM t
read          EXPLAIN TABLE t
read          SHOW EXTENDED FULL COLUMNS FROM t
primary_read  SHOW CREATE USER CURRENT_USER()
primary_read  SHOW REPLICA STATUS
read          SELECT VECTOR_DIM(STRING_TO_VECTOR('[1,2]'))
primary_read  SELECT * FROM t FOR SHARE
primary_read  SELECT * FROM t FOR SHARE OF t SKIP LOCKED
primary_read  SELECT * FROM t JOIN u ON 1 FOR UPDATE OF t NOWAIT
primary_read  SELECT * FROM t FOR UPDATE OF t FOR SHARE OF u
primary_read  WITH c AS (SELECT * FROM t) SELECT * FROM t FOR SHARE
primary_read  SELECT * FROM t, LATERAL (SELECT * FROM u FOR SHARE) d
primary_read  SELECT MD5('a'), SHA1('a')
primary_read  SELECT @@transaction_read_only
primary_read  SELECT @@statement_id
primary_read  SELECT PS_CURRENT_THREAD_ID()
primary_read  SELECT WAIT_FOR_EXECUTED_GTID_SET('', 1)
primary_read  SELECT SOURCE_POS_WAIT('a', 1, 1)
primary_read  SELECT service_get_read_locks('n', 'a', 1)
primary_read  SELECT version_tokens_lock_shared('a', 1)
primary_read  SELECT * FROM mysql.gtid_executed
primary_read  SELECT * FROM sys.processlist
primary_read  SELECT sys.format_bytes(1)
primary_read  SELECT * FROM performance_schema.replication_group_members
primary_read  SHOW BINARY LOG STATUS
primary_read  SHOW REPLICAS
primary_read  EXPLAIN FOR CONNECTION 1
primary_read  EXPLAIN FORMAT=JSON INTO @e SELECT * FROM t
primary_read  EXPLAIN TABLE t INTO @x
primary_read  TABLE t INTO @a
primary_read  VALUES ROW(1) INTO @a
primary_read  SELECT nextval(s)
primary_read  SELECT uuid_v7()
primary_read  SELECT DATE(fr(1))
write         TABLE t INTO OUTFILE '/nowhere/x'
write         WITH c AS (SELECT 1 AS n) UPDATE t, c SET t.v = c.n
write         WITH c AS (SELECT 1 AS n) DELETE FROM t WHERE id IN (SELECT n FROM c)
write         WITH RECURSIVE c AS (SELECT 1) DELETE t FROM t
write         INSERT INTO t (id, v) VALUES (201, 1) AS n ON DUPLICATE KEY UPDATE v = n.v
write         INSERT INTO t (id, v) TABLE u
write         INSERT INTO t (id, v) VALUES ROW(202, 1), ROW(203, 2)
write         INSERT INTO t (id, v) WITH c AS (SELECT 204, 1) SELECT * FROM c
write         REPLACE INTO t (id, v) VALUES ROW(205, 1)
write         EXPLAIN ANALYZE DELETE FROM t
write         ANALYZE TABLE t UPDATE HISTOGRAM ON v
write         ANALYZE NO_WRITE_TO_BINLOG TABLE t
write         ALTER TABLE t ALGORITHM=INSTANT, ADD COLUMN z INT
write         CREATE TABLE made5 AS TABLE t
write         CREATE SPATIAL REFERENCE SYSTEM IF NOT EXISTS 4326 NAME 'a' DEFINITION 'b'
write         CREATE RESOURCE GROUP rg TYPE = USER
write         LOCK INSTANCE FOR BACKUP
write         UNLOCK INSTANCE
write         SET PERSIST max_connections = 200
write         SET PERSIST_ONLY back_log = 100
write         SET @@PERSIST.max_connections = 200
write         RESET PERSIST
write!        RESET BINARY LOGS AND GTIDS
write!        RESTART
write!        CLONE LOCAL DATA DIRECTORY = '/nowhere'
write!        START GROUP_REPLICATION
write!        STOP REPLICA
write!        CHANGE REPLICATION SOURCE TO SOURCE_HOST = 'a'
write         INSTALL COMPONENT 'file://component_none'
write         ALTER INSTANCE ROTATE INNODB MASTER KEY
write         IMPORT TABLE FROM 'x.sdi'
write         SET DEFAULT ROLE NONE TO CURRENT_USER()
write         SET RESOURCE GROUP rg
write         CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (USER 'a')
transaction   SET @@transaction_isolation = 'SERIALIZABLE'
transaction   SET @@transaction_read_only = 1
session       SET transaction_isolation = 'SERIALIZABLE'
session       SET SESSION transaction_read_only = ON
session       SET @@SESSION.transaction_isolation = 'READ-COMMITTED'
session       SET SESSION session_track_gtids = OFF
session       SET gtid_next = 'AUTOMATIC'
session       SET GLOBAL max_connections = 100, sql_mode = ''
unknown       SELECT $$ FOR UPDATE $$
unknown       SELECT 1 /*!080400 FOR UPDATE */
unknown       BEGIN NOT ATOMIC SELECT 1; END
unknown       SET STATEMENT max_statement_time = 1 FOR SELECT 1
