-- Bids in sliding windows.
-- @doubling changes the result
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (begins) TBLPROPERTIES ('clustering_key' = 'auction ASC', 'output_mode' = 'update')
AS SELECT window.start AS begins, auction, count(*) AS bids FROM STREAM bid WATERMARK date_time DELAY OF INTERVAL 30 SECONDS
GROUP BY auction, window(date_time, '10 seconds', '2 seconds');
