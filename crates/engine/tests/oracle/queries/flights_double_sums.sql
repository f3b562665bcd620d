-- Sums of floating-point numbers, whose last digits depend on the order.
-- @doubling changes the result
-- @tolerance 1e-12: sums of floating-point numbers depend on the order of the events
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'begins ASC', 'output_mode' = 'update')
AS SELECT origin, window.start AS begins, sum(distance / 7) AS sum, avg(air_time * 0.1D) AS mean, stddev(dep_delay) AS spread, var_pop(distance) AS variance, corr(dep_delay, arr_delay) AS alike FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS
GROUP BY origin, window(ts, '12 hours');
