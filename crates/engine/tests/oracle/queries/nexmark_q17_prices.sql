-- What the prices of each auction were.
-- @doubling changes the result
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (auction) TBLPROPERTIES ('clustering_key' = 'begins ASC', 'output_mode' = 'update')
AS SELECT auction, window.start AS begins, percentile_approx(price, 0.9) AS high, median(price) AS middle, mode(channel, true) AS channel,
  array_join(array_sort(collect_set(channel)), ',') AS channels FROM STREAM bid WATERMARK date_time DELAY OF INTERVAL 30 SECONDS
GROUP BY auction, window(date_time, '10 minutes');
