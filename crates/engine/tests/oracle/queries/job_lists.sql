-- Texts of a group in another order.
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin, flight_date) TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC')
AS SELECT origin, to_date(ts) AS flight_date, ts, event_id, carrier, dest, dep_delay, arr_delay, distance, tailnum FROM STREAM flights;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'origin')
AS SELECT origin, listagg(dest, ',') WITHIN GROUP (ORDER BY ts DESC, event_id) AS dests, listagg(DISTINCT carrier, '') WITHIN GROUP (ORDER BY carrier DESC) AS carriers
FROM departures WHERE distance > 1200 GROUP BY origin;
