-- EXCEPT and INTERSECT.
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin, flight_date) TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC')
AS SELECT origin, to_date(ts) AS flight_date, ts, event_id, carrier, dest, dep_delay, arr_delay, distance, tailnum FROM STREAM flights;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'dest, kind')
AS SELECT dest, 'only east' AS kind FROM (SELECT dest FROM departures WHERE carrier = 'DL' EXCEPT SELECT dest FROM departures WHERE carrier = 'UA' AND dep_delay > 60)
UNION ALL SELECT dest, 'both' AS kind FROM (SELECT dest FROM departures WHERE carrier = 'AA' INTERSECT SELECT dest FROM departures WHERE carrier = 'B6');
