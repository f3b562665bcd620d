-- Sums and means of decimals.
-- @doubling changes the result
-- @tolerance 1e-8: the mean of decimals is cut off at its last digit, where Spark rounds it
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'begins ASC', 'output_mode' = 'update')
AS SELECT origin, window.start AS begins, sum(CAST(distance AS DECIMAL(10, 2)) * 0.37) AS cost, avg(CAST(air_time AS DECIMAL(7, 3))) AS mean FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS
GROUP BY origin, window(ts, '12 hours');
