-- Groups by an expression.
-- @doubling changes the result
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (band) TBLPROPERTIES ('clustering_key' = 'begins ASC', 'output_mode' = 'update')
AS SELECT band, window.start AS begins, count(*) AS flights FROM (SELECT ts, distance DIV 500 AS band FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS)
GROUP BY band, window(ts, '1 day');
