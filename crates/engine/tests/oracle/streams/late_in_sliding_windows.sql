-- Of windows that overlap, a row is in those that are open.
-- @batches of 40
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (sensor) TBLPROPERTIES ('clustering_key' = 'begins ASC')
AS SELECT sensor, window.start AS begins, count(*) AS n, max(value) AS most
FROM STREAM measures WATERMARK ts DELAY OF INTERVAL 10 MINUTES WHERE how <> 'a little late' GROUP BY sensor, window(ts, '20 minutes', '5 minutes');
