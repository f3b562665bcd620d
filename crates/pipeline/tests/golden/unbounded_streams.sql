CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, carrier STRING NOT NULL, origin STRING NOT NULL, delay INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE STREAMING TABLE a USING cassandra PARTITIONED BY (origin)
AS SELECT origin FROM STREAM flights ORDER BY ts;
CREATE STREAMING TABLE b USING cassandra PARTITIONED BY (origin)
AS SELECT origin FROM STREAM flights LIMIT 10;
CREATE STREAMING TABLE d USING cassandra PARTITIONED BY (origin)
AS SELECT DISTINCT origin FROM STREAM flights;
CREATE STREAMING TABLE e USING cassandra PARTITIONED BY (origin)
AS SELECT origin FROM STREAM flights UNION ALL SELECT origin FROM STREAM flights;
CREATE STREAMING TABLE g USING cassandra PARTITIONED BY (origin)
AS SELECT origin, row_number() OVER (PARTITION BY origin ORDER BY ts) AS n FROM STREAM flights;
CREATE STREAMING TABLE h USING cassandra PARTITIONED BY (origin)
AS SELECT origin FROM STREAM flights WHERE carrier IN (SELECT carrier FROM airlines);
CREATE TABLE airlines USING parquet LOCATION 'airlines.parquet';
