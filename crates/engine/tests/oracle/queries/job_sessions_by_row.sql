-- Sessions whose gap differs by row, some of which have none.
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin, flight_date) TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC')
AS SELECT origin, to_date(ts) AS flight_date, ts, event_id, carrier, dest, dep_delay, arr_delay, distance, tailnum FROM STREAM flights;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'origin, begins')
AS SELECT origin, session_window.start AS begins, session_window.end AS ends, count(*) AS flights, max(dep_delay) AS worst
FROM departures GROUP BY origin, session_window(ts, CASE WHEN distance > 1500 THEN '3 hours' WHEN distance > 500 THEN '20 minutes' ELSE '0 minutes' END);
