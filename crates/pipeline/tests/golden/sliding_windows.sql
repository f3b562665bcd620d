CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, carrier STRING NOT NULL, origin STRING NOT NULL, delay INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE STREAMING TABLE slide_over_size USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour')
AS SELECT origin, window.start AS hour, count(*) AS n
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, window(ts, '1 hour', '2 hours');
CREATE STREAMING TABLE no_slide USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour')
AS SELECT origin, window.start AS hour, count(*) AS n
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, window(ts, '1 hour', '0 minutes');
CREATE STREAMING TABLE no_size USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour')
AS SELECT origin, window.start AS hour, count(*) AS n
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, window(ts, '0 seconds');
CREATE STREAMING TABLE start_beyond_slide USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour')
AS SELECT origin, window.start AS hour, count(*) AS n
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, window(ts, '1 hour', '15 minutes', '-15 minutes');
CREATE STREAMING TABLE months USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour')
AS SELECT origin, window.start AS hour, count(*) AS n
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, window(ts, '1 month');
CREATE STREAMING TABLE fortnights USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour')
AS SELECT origin, window.start AS hour, count(*) AS n
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, window(ts, '1 hour', '1 fortnight');
CREATE STREAMING TABLE intervals USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour')
AS SELECT origin, window.start AS hour, count(*) AS n
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, window(ts, INTERVAL 1 HOUR);
CREATE STREAMING TABLE too_many USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour')
AS SELECT origin, window.start AS hour, count(*) AS n
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, window(ts, '1 hour', '1 hour', '0 seconds', '1 hour');
CREATE STREAMING TABLE not_grouped USING cassandra PARTITIONED BY (event_id)
AS SELECT event_id, window(ts, '1 hour', '15 minutes').start AS hour FROM STREAM flights;
CREATE MATERIALIZED VIEW batch USING postgresql TBLPROPERTIES ('primary_key' = 'event_id')
AS SELECT event_id, window(ts, '1 hour', '15 minutes').start AS hour FROM facts;
CREATE STREAMING TABLE facts USING cassandra PARTITIONED BY (event_id) AS SELECT event_id, ts FROM STREAM flights;
