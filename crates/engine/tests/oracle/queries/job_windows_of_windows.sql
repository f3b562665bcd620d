-- Windows over the results of windows that overlap, and their time.
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin, flight_date) TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC')
AS SELECT origin, to_date(ts) AS flight_date, ts, event_id, carrier, dest, dep_delay, arr_delay, distance, tailnum FROM STREAM flights;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'day')
AS SELECT window(window_time(part), '1 day').start AS day, max(n) AS most, count(*) AS parts, max(window_time(part)) AS last
FROM (SELECT window AS part, count(*) AS n FROM departures GROUP BY window(ts, '6 hours', '3 hours')) GROUP BY window(window_time(part), '1 day');
