-- Sums of CASE.
-- @doubling changes the result
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (dest) TBLPROPERTIES ('clustering_key' = 'begins ASC', 'output_mode' = 'update')
AS SELECT dest, window.start AS begins, sum(CASE WHEN dep_delay > 30 THEN 1 ELSE 0 END) AS late, sum(if(carrier = 'AA', distance, 0)) AS miles FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS
WHERE dest IN ('LAX', 'SFO', 'MIA') GROUP BY dest, window(ts, '8 hours');
