-- Prices of each channel, by the tens of thousands.
-- @doubling changes the result
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (channel) TBLPROPERTIES ('clustering_key' = 'begins ASC, band ASC', 'output_mode' = 'update')
AS SELECT channel, window.start AS begins, price DIV 10000 AS band, count(*) AS bids FROM STREAM bid WATERMARK date_time DELAY OF INTERVAL 30 SECONDS
GROUP BY channel, price DIV 10000, window(date_time, '10 minutes');
