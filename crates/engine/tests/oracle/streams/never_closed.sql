-- What the watermark has not passed at the end is not given.
-- @batches of 40
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (sensor) TBLPROPERTIES ('clustering_key' = 'begins ASC')
AS SELECT sensor, window.start AS begins, window.end AS ends, count(*) AS n
FROM STREAM measures WATERMARK ts DELAY OF INTERVAL 90 MINUTES WHERE how <> 'late' GROUP BY sensor, window(ts, '1 hour');
