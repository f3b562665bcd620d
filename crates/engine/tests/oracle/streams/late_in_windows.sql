-- Rows that come when their window is closed are in none.
-- @batches of 40
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (sensor) TBLPROPERTIES ('clustering_key' = 'begins ASC')
AS SELECT sensor, window.start AS begins, count(*) AS n, sum(value) AS total, count_if(how = 'late') AS late
FROM STREAM measures WATERMARK ts DELAY OF INTERVAL 10 MINUTES WHERE how <> 'a little late' GROUP BY sensor, window(ts, '10 minutes');
