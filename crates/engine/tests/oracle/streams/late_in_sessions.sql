-- Rows behind the watermark are in no session.
-- @batches of 40
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (sensor) TBLPROPERTIES ('clustering_key' = 'begins ASC')
AS SELECT sensor, session_window.start AS begins, session_window.end AS ends, count(*) AS n
FROM STREAM measures WATERMARK ts DELAY OF INTERVAL 10 MINUTES WHERE how <> 'a little late' GROUP BY sensor, session_window(ts, '2 minutes');
