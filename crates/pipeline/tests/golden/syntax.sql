CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, carrier STRING NOT NULL, origin STRING NOT NULL, delay INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE STREAMING TABLE a USING cassandra PARTITIONED BY origin AS SELECT origin FROM STREAM flights;
CREATE STREAMING TABLE b USING cassandra PARTITIONED BY (origin) AS SELECT origin, FROM STREAM flights;
CREATE STREAMING TABLE c USING cassandra PARTITIONED BY (origin) AS SELECT origin FROM STREAM;
CREATE STREAMING TABLE d USING cassandra PARTITIONED BY (origin) SELECT origin FROM STREAM flights;
CREATE STREAMING TABLE e USING cassandra PARTITIONED BY (origin) AS SELECT origin FROM STREAM flights WHERE;
CREATE FLOW f AS INSERT INTO d SELECT origin FROM STREAM flights;
CREATE VIEW v AS SELECT 1;
DROP TABLE flights;
CREATE TABLE t (a INT b INT) USING kafka OPTIONS (subscribe 't', value.format 'json');
CREATE TABLE u (a INT) USING kafka OPTIONS (subscribe 't' value.format 'json');
CREATE TABLE v (a INT) USING kafka OPTIONS (subscribe 't', value.format 'json')
CREATE TABLE w (a INT) USING kafka OPTIONS (subscribe 't', value.format 'json');
