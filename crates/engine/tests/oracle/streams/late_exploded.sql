-- An event that is late gives none of its rows to a window.
-- @batches of 40
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (part) TBLPROPERTIES ('clustering_key' = 'begins ASC')
AS SELECT part, window.start AS begins, count(*) AS n, sum(value) AS total, count_if(how = 'late') AS late
FROM STREAM measures WATERMARK ts DELAY OF INTERVAL 10 MINUTES LATERAL VIEW explode(array(sensor, 'all', concat(sensor, value % 3))) p AS part
WHERE how <> 'a little late' GROUP BY part, window(ts, '10 minutes');
