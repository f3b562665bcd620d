-- EXISTS and NOT EXISTS.
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin, flight_date) TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC')
AS SELECT origin, to_date(ts) AS flight_date, ts, event_id, carrier, dest, dep_delay, arr_delay, distance, tailnum FROM STREAM flights;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'event_id')
AS SELECT event_id, carrier FROM departures d WHERE NOT EXISTS (SELECT 1 FROM airlines a WHERE a.carrier = d.carrier) AND event_id < 200;
