-- WHERE below and above a window.
-- @doubling changes the result
-- @closed by a later event
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'begins ASC')
AS SELECT origin, begins, flights FROM (SELECT origin, window.start AS begins, count(*) AS flights FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS WHERE distance > 500 GROUP BY origin, window(ts, '4 hours')) WHERE flights > 3;
