-- Windows that overlap, over a table.
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin, flight_date) TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC')
AS SELECT origin, to_date(ts) AS flight_date, ts, event_id, carrier, dest, dep_delay, arr_delay, distance, tailnum FROM STREAM flights;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'origin, begins')
AS SELECT origin, window.start AS begins, window.end AS ends, count(*) AS flights, max(dep_delay) AS worst
FROM departures GROUP BY origin, window(ts, '6 hours', '2 hours');
