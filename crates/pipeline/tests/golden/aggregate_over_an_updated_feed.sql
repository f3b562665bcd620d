CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, carrier STRING NOT NULL, origin STRING NOT NULL, delay INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE STREAMING TABLE hourly USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour', 'output_mode' = 'update')
AS SELECT origin, window.start AS hour, count(*) AS n
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, window(ts, '1 hour');
CREATE STREAMING TABLE daily USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'day')
AS SELECT origin, window.start AS day, sum(n) AS n
   FROM STREAM hourly WATERMARK hour DELAY OF INTERVAL 2 DAYS GROUP BY origin, window(hour, '1 day');
