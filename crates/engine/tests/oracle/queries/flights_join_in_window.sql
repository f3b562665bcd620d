-- An aggregate over a join.
-- @doubling changes the result
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (name) TBLPROPERTIES ('clustering_key' = 'begins ASC', 'output_mode' = 'update')
AS SELECT a.name, window.start AS begins, count(*) AS flights, sum(f.distance) AS miles FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS AS f
JOIN airlines a ON f.carrier = a.carrier WHERE a.name IS NOT NULL GROUP BY a.name, window(f.ts, '6 hours');
