-- Sessions of bidders.
-- @doubling changes the result
-- @closed by a later event
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (bidder) TBLPROPERTIES ('clustering_key' = 'begins ASC')
AS SELECT bidder, session_window.start AS begins, session_window.end AS ends, count(*) AS bids FROM STREAM bid WATERMARK date_time DELAY OF INTERVAL 30 SECONDS
GROUP BY bidder, session_window(date_time, '2 minutes');
