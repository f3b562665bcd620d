-- HAVING.
-- @doubling changes the result
-- @closed by a later event
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (dest) TBLPROPERTIES ('clustering_key' = 'begins ASC')
AS SELECT dest, window.start AS begins, count(*) AS flights FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS
WHERE dest IS NOT NULL GROUP BY dest, window(ts, '12 hours') HAVING count(*) > 12;
