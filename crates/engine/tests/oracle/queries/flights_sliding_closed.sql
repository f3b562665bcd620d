-- Sliding windows, each once when it is closed.
-- @doubling changes the result
-- @closed by a later event
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'begins ASC')
AS SELECT origin, window.start AS begins, window.end AS ends, sum(distance) AS miles FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS
GROUP BY origin, window(ts, '3 hours', '90 minutes');
