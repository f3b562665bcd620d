-- Expressions over aggregates.
-- @doubling changes the result
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'begins ASC', 'output_mode' = 'update')
AS SELECT origin, window.start AS begins, sum(dep_delay) / count(dep_delay) AS mean, CAST(max(distance) - min(distance) AS STRING) AS spread, date_format(window.start, 'HH:mm') AS clock FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS
GROUP BY origin, window(ts, '3 hours');
