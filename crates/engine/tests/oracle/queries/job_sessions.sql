-- Sessions over a table.
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin, flight_date) TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC')
AS SELECT origin, to_date(ts) AS flight_date, ts, event_id, carrier, dest, dep_delay, arr_delay, distance, tailnum FROM STREAM flights;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'carrier, begins')
AS SELECT carrier, session_window.start AS begins, session_window.end AS ends, count(*) AS flights, sum(distance) AS distance
FROM departures GROUP BY carrier, session_window(ts, '90 minutes');
