-- UNION ALL of two queries.
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin, flight_date) TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC')
AS SELECT origin, to_date(ts) AS flight_date, ts, event_id, carrier, dest, dep_delay, arr_delay, distance, tailnum FROM STREAM flights;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'event_id, kind')
AS SELECT event_id, 'late' AS kind FROM departures WHERE dep_delay > 120 UNION ALL SELECT event_id, 'early' AS kind FROM departures WHERE dep_delay < -12;
