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
CREATE STREAMING TABLE f USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour')
AS SELECT origin, window.start AS hour, stddev(DISTINCT delay) AS x
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, window(ts, '1 hour');
CREATE STREAMING TABLE p USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour')
AS SELECT origin, window.start AS hour, percentile(delay, 1.5) AS x
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, window(ts, '1 hour');
CREATE STREAMING TABLE q USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour')
AS SELECT origin, window.start AS hour, percentile_approx(delay, delay) AS x
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, window(ts, '1 hour');
CREATE STREAMING TABLE r USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour')
AS SELECT origin, window.start AS hour, listagg(carrier, ',') WITHIN GROUP (ORDER BY ts) AS x
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, window(ts, '1 hour');
CREATE STREAMING TABLE facts USING cassandra PARTITIONED BY (event_id) AS SELECT event_id, delay FROM STREAM flights;
CREATE MATERIALIZED VIEW m USING postgresql TBLPROPERTIES ('primary_key' = 'n')
AS SELECT count(*) AS n, percentile_disc(-0.1) WITHIN GROUP (ORDER BY delay) AS x FROM facts;
