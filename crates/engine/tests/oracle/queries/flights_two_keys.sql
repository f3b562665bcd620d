-- Groups by two columns, one of them null at times.
-- @doubling changes the result
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'tail ASC, begins ASC', 'output_mode' = 'update')
AS SELECT origin, coalesce(tailnum, '-') AS tail, window.start AS begins, count(*) AS flights, max(distance) AS farthest FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS
WHERE carrier = 'UA' GROUP BY origin, coalesce(tailnum, '-'), window(ts, '1 day');
