-- All outer joins.
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin, flight_date) TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC')
AS SELECT origin, to_date(ts) AS flight_date, ts, event_id, carrier, dest, dep_delay, arr_delay, distance, tailnum FROM STREAM flights;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'ours, theirs')
AS SELECT coalesce(a.carrier, 'none') AS ours, coalesce(b.carrier, 'none') AS theirs, count(b.carrier) AS n FROM (SELECT DISTINCT carrier FROM departures) a FULL OUTER JOIN airlines b ON a.carrier = b.carrier GROUP BY 1, 2;
