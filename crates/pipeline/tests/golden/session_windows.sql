CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, carrier STRING NOT NULL, origin STRING NOT NULL, delay INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE STREAMING TABLE e USING cassandra PARTITIONED BY (origin)
AS SELECT origin, count(*) AS n
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, session_window(ts, '1 hour');
CREATE STREAMING TABLE g USING cassandra PARTITIONED BY (origin)
AS SELECT origin, count(*) AS n
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, window(ts, '1 fortnight');
