-- HAVING with several conditions.
-- @doubling changes the result
-- @closed by a later event
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin, carrier) TBLPROPERTIES ('clustering_key' = 'begins ASC')
AS SELECT origin, carrier, window.start AS begins, count(*) AS flights, avg(distance) AS mean FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS
GROUP BY origin, carrier, window(ts, '12 hours') HAVING count(*) >= 4 AND max(dep_delay) > 20;
