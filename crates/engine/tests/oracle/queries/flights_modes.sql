-- The most frequent values, of equally frequent ones the least or the greatest.
-- @doubling changes the result
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'begins ASC', 'output_mode' = 'update')
AS SELECT origin, window.start AS begins, mode(carrier, true) AS carrier, mode() WITHIN GROUP (ORDER BY dest) AS dest, mode() WITHIN GROUP (ORDER BY dest DESC) AS last_dest,
  mode(dep_delay, true) AS delay FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS
GROUP BY origin, window(ts, '12 hours');
