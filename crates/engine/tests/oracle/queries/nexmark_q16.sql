-- The same for each channel.
-- @doubling changes the result
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (channel) TBLPROPERTIES ('clustering_key' = 'begins ASC', 'output_mode' = 'update')
AS SELECT channel, window.start AS begins, count(*) AS total, max(date_format(date_time, 'HH:mm')) AS minute,
  count(*) FILTER (WHERE price < 10000) AS low, count(*) FILTER (WHERE price >= 10000) AS high
FROM STREAM bid WATERMARK date_time DELAY OF INTERVAL 30 SECONDS
GROUP BY channel, window(date_time, '1 day');
