-- The report of the example.
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin, flight_date) TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC')
AS SELECT origin, to_date(ts) AS flight_date, ts, event_id, carrier, dest, dep_delay, arr_delay, distance, tailnum FROM STREAM flights;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'carrier, flight_date')
AS SELECT d.carrier, a.name, d.flight_date, count(*) AS departures, avg(d.dep_delay) AS avg_delay FROM departures d JOIN airlines a ON d.carrier = a.carrier
GROUP BY d.carrier, a.name, d.flight_date;
