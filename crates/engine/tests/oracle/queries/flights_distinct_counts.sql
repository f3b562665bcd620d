-- Different values in a window.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'begins ASC', 'output_mode' = 'update')
AS SELECT origin, window.start AS begins, count(DISTINCT carrier) AS carriers, count(DISTINCT dest) AS places, count(DISTINCT dep_delay) AS delays FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS
GROUP BY origin, window(ts, '12 hours');
