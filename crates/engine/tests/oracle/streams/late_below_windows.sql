-- Windows over the results of windows lack what was late for these.
-- @batches of 40
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (sensor) TBLPROPERTIES ('clustering_key' = 'begins ASC')
AS SELECT sensor, window(window_time(part), '30 minutes').start AS begins, max(n) AS most, sum(n) AS n, count(*) AS parts FROM
  (SELECT sensor, window AS part, count(*) AS n FROM STREAM measures WATERMARK ts DELAY OF INTERVAL 10 MINUTES WHERE how <> 'a little late' GROUP BY sensor, window(ts, '10 minutes'))
GROUP BY sensor, window(window_time(part), '30 minutes');
