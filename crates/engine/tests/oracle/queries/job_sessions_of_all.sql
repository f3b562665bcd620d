-- Sessions without a key.
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin, flight_date) TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC')
AS SELECT origin, to_date(ts) AS flight_date, ts, event_id, carrier, dest, dep_delay, arr_delay, distance, tailnum FROM STREAM flights;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'begins')
AS SELECT session_window.start AS begins, session_window.end AS ends, count(*) AS flights FROM departures WHERE carrier = 'UA' GROUP BY session_window(ts, '2 hours');
