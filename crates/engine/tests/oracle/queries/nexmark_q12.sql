-- Bids of each bidder in windows; the original's are of processing time, which no two runs share.
-- @doubling changes the result
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (bidder) TBLPROPERTIES ('clustering_key' = 'begins ASC', 'output_mode' = 'update')
AS SELECT bidder, window.start AS begins, window.end AS ends, count(*) AS bids FROM STREAM bid WATERMARK date_time DELAY OF INTERVAL 30 SECONDS
GROUP BY bidder, window(date_time, '10 seconds');
