-- Pivots by CASE.
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin, flight_date) TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC')
AS SELECT origin, to_date(ts) AS flight_date, ts, event_id, carrier, dest, dep_delay, arr_delay, distance, tailnum FROM STREAM flights;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'carrier')
AS SELECT carrier, sum(CASE WHEN origin = 'EWR' THEN 1 ELSE 0 END) AS ewr, sum(CASE WHEN origin = 'JFK' THEN distance END) AS jfk, max(CASE WHEN origin = 'LGA' THEN dep_delay END) AS lga FROM departures GROUP BY carrier;
