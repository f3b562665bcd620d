CREATE TABLE flights (ts TIMESTAMP NOT NULL, arrival TIMESTAMP, origin STRING NOT NULL) USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE STREAMING TABLE d USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour')
AS SELECT origin, window.start AS hour, count(*) AS n
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, window(arrival, '1 hour');
