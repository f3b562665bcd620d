-- Sliding windows that begin at ten past.
-- @doubling changes the result
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (begins) TBLPROPERTIES ('output_mode' = 'update')
AS SELECT window.start AS begins, count(*) AS flights, min(arr_delay) AS least FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS
GROUP BY window(ts, '2 hours', '1 hour', '10 minutes');
