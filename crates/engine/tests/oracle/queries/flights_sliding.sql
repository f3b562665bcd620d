-- Windows of six hours, every two.
-- @doubling changes the result
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (carrier) TBLPROPERTIES ('clustering_key' = 'begins ASC', 'output_mode' = 'update')
AS SELECT carrier, window.start AS begins, count(*) AS flights, max(dep_delay) AS worst FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS
GROUP BY carrier, window(ts, '6 hours', '2 hours');
