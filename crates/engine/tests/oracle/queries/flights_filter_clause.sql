-- FILTER beside plain aggregates.
-- @doubling changes the result
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'begins ASC', 'output_mode' = 'update')
AS SELECT origin, window.start AS begins, count(*) AS all_flights, count(*) FILTER (WHERE dep_delay > 30) AS late, sum(distance) FILTER (WHERE dest = 'SFO') AS miles, avg(arr_delay) FILTER (WHERE arr_delay > 0) AS mean
FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, window(ts, '6 hours');
