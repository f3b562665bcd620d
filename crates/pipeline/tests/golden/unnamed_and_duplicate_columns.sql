CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, carrier STRING NOT NULL, origin STRING NOT NULL, delay INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE TABLE airlines USING parquet LOCATION 'airlines.parquet';
CREATE STREAMING TABLE d USING cassandra PARTITIONED BY (origin)
AS SELECT origin, upper(carrier), delay * 2 FROM STREAM flights;
CREATE STREAMING TABLE e USING cassandra PARTITIONED BY (origin)
AS SELECT origin, delay, event_id AS delay FROM STREAM flights;
CREATE STREAMING TABLE g USING cassandra PARTITIONED BY (origin)
AS SELECT origin, window, count(*) AS n
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, window(ts, '1 hour');
