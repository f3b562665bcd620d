CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, carrier STRING NOT NULL, origin STRING NOT NULL, delay INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE STREAMING TABLE a USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour')
AS SELECT origin, window.start AS hour, corr(DISTINCT delay, event_id) AS x
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, window(ts, '1 hour');
CREATE STREAMING TABLE b USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour')
AS SELECT origin, window.start AS hour, count(DISTINCT carrier, delay) AS x
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, window(ts, '1 hour');
CREATE STREAMING TABLE c USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour')
AS SELECT origin, window.start AS hour, first_value(carrier ORDER BY delay) AS x
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, window(ts, '1 hour');
CREATE STREAMING TABLE d USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour')
AS SELECT origin, window.start AS hour, percentile_cont(delay, delay) AS x
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, window(ts, '1 hour');
CREATE STREAMING TABLE e USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour')
AS SELECT origin, window.start AS hour, mode(carrier) AS x
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, window(ts, '1 hour');
CREATE STREAMING TABLE f USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour')
AS SELECT origin, window.start AS hour, stddev(DISTINCT delay) AS x
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, window(ts, '1 hour');
CREATE STREAMING TABLE g USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour')
AS SELECT origin, window.start AS hour, max_by(carrier) AS x
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, window(ts, '1 hour');
