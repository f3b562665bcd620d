-- Skewness and kurtosis.
-- @doubling changes the result
-- @tolerance 1e-9: sums of floating-point numbers depend on the order of the rows
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'begins ASC', 'output_mode' = 'update')
AS SELECT origin, window.start AS begins, skewness(dep_delay) AS skew, kurtosis(dep_delay) AS tail, skewness(distance) AS far FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS
GROUP BY origin, window(ts, '6 hours');
