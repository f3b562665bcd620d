-- ORDER BY with LIMIT.
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin, flight_date) TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC')
AS SELECT origin, to_date(ts) AS flight_date, ts, event_id, carrier, dest, dep_delay, arr_delay, distance, tailnum FROM STREAM flights;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'event_id')
AS SELECT event_id, dep_delay, tailnum FROM departures ORDER BY dep_delay DESC NULLS LAST, event_id LIMIT 10;
