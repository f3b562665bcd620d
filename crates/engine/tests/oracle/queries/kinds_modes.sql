-- Modes and percentiles of every type.
-- @doubling changes the result
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (begins) TBLPROPERTIES ('output_mode' = 'update')
AS SELECT window.start AS begins, mode(flag, true) AS flag, mode(tiny, true) AS tiny, mode(large, true) AS large, mode(single, true) AS single, mode(real, true) AS real, mode(price, true) AS price, mode(word, true) AS word,
  mode(day, true) AS day, mode(moment, true) AS moment, percentile_approx(small, 0.4) AS small, percentile_approx(price, 0.4) AS exact, percentile_approx(day, 0.4) AS mid_day, percentile_approx(single, 0.4) AS mid_single,
  percentile(price, 0.4) AS between, median(tiny) AS mid_tiny
FROM STREAM kinds WATERMARK at DELAY OF INTERVAL 1 HOUR GROUP BY window(at, '10 minutes');
