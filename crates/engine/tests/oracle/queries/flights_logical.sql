-- Aggregates of conditions.
-- @doubling changes the result
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (carrier) TBLPROPERTIES ('clustering_key' = 'begins ASC', 'output_mode' = 'update')
AS SELECT carrier, window.start AS begins, count_if(dep_delay > 30) AS late, every(distance > 200) AS far, some(dest = 'LAX') AS west, bit_and(flight) AS ands, bit_xor(flight) AS xors FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS
GROUP BY carrier, window(ts, '1 day');
