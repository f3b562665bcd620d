-- Bids in sliding windows, each once when it is closed.
-- @doubling changes the result
-- @closed by a later event
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (begins) TBLPROPERTIES ('clustering_key' = 'auction ASC')
AS SELECT window.start AS begins, auction, count(*) AS bids FROM STREAM bid WATERMARK date_time DELAY OF INTERVAL 30 SECONDS
GROUP BY auction, window(date_time, '20 seconds', '10 seconds') HAVING count(*) > 2;
