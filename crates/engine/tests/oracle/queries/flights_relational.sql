-- Windows in a relational table.
-- @doubling changes the result
CREATE STREAMING TABLE result USING postgresql TBLPROPERTIES ('primary_key' = 'carrier, begins', 'output_mode' = 'update')
AS SELECT carrier, window.start AS begins, count(*) AS flights, sum(air_time) AS minutes FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS
GROUP BY carrier, window(ts, '4 hours');
