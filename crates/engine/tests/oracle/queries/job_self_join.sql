-- A table joined to itself.
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin, flight_date) TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC')
AS SELECT origin, to_date(ts) AS flight_date, ts, event_id, carrier, dest, dep_delay, arr_delay, distance, tailnum FROM STREAM flights;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'first, second')
AS SELECT a.event_id AS first, b.event_id AS second FROM departures a JOIN departures b ON a.tailnum = b.tailnum AND a.event_id < b.event_id AND a.origin = b.origin WHERE b.ts < a.ts + INTERVAL 12 HOURS;
