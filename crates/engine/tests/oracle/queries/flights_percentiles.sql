-- Percentiles of each six hours.
-- @doubling changes the result
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'begins ASC', 'output_mode' = 'update')
AS SELECT origin, window.start AS begins, percentile(dep_delay, 0.9) AS p90, percentile(distance, array(0.1, 0.5))[1] AS half, median(arr_delay) AS middle,
  percentile_cont(0.25) WITHIN GROUP (ORDER BY distance DESC) AS upper, percentile_disc(0.25) WITHIN GROUP (ORDER BY distance) AS lower,
  percentile_disc(0.6) WITHIN GROUP (ORDER BY dep_delay DESC) AS disc FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS
GROUP BY origin, window(ts, '6 hours');
