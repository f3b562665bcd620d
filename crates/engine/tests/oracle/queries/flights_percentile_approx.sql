-- Percentiles that are values, of numbers and times; few enough that Spark's are exact.
-- @doubling changes the result
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'begins ASC', 'output_mode' = 'update')
AS SELECT origin, window.start AS begins, percentile_approx(dep_delay, 0.5) AS middle, approx_percentile(distance, 0.95, 1000) AS far,
  percentile_approx(ts, 0.3) AS early, percentile_approx(distance / 3.0D, array(0.0, 0.33, 1.0))[1] AS third FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS
GROUP BY origin, window(ts, '6 hours');
