-- Windows that overlap and begin elsewhere, and the groups that are kept of them.
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin, flight_date) TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC')
AS SELECT origin, to_date(ts) AS flight_date, ts, event_id, carrier, dest, dep_delay, arr_delay, distance, tailnum FROM STREAM flights;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'begins')
AS SELECT window.start AS begins, count(DISTINCT carrier) AS carriers, percentile_approx(distance, 0.5) AS middle
FROM departures GROUP BY window(ts, '7 hours', '3 hours', '30 minutes') HAVING count(*) > 3;
