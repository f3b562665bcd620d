-- A window over a change feed.
-- @doubling changes the result
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin, flight_date) TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC')
AS SELECT origin, to_date(ts) AS flight_date, ts, event_id, carrier, dest, dep_delay, arr_delay, distance, tailnum FROM STREAM flights;

CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'begins ASC', 'output_mode' = 'update')
AS SELECT origin, window.start AS begins, count(*) AS flights, max(dep_delay) AS worst FROM STREAM departures WATERMARK ts DELAY OF INTERVAL 2 HOURS
GROUP BY origin, window(ts, '6 hours');
