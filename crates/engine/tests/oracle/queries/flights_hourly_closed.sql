-- The same, each hour once when it is closed.
-- @doubling changes the result
-- @closed by a later event
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour DESC')
AS SELECT origin, window.start AS hour, window.end AS ends, count(*) AS flights, min(dep_delay) AS min_delay
FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, window(ts, '1 hour');
