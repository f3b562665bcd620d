-- Regressions of each six hours.
-- @doubling changes the result
-- @tolerance 1e-9: sums of floating-point numbers depend on the order of the rows
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'begins ASC', 'output_mode' = 'update')
AS SELECT origin, window.start AS begins, regr_slope(arr_delay, dep_delay) AS slope, regr_intercept(arr_delay, dep_delay) AS intercept, regr_r2(arr_delay, dep_delay) AS r2,
  regr_count(arr_delay, dep_delay) AS n, regr_avgx(arr_delay, dep_delay) AS x, regr_avgy(arr_delay, dep_delay) AS y FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS
GROUP BY origin, window(ts, '6 hours');
