-- Functions with OVER.
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin, flight_date) TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC')
AS SELECT origin, to_date(ts) AS flight_date, ts, event_id, carrier, dest, dep_delay, arr_delay, distance, tailnum FROM STREAM flights;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'event_id')
AS SELECT event_id, row_number() OVER w AS n, rank() OVER (PARTITION BY origin ORDER BY dep_delay DESC) AS r, dense_rank() OVER (PARTITION BY origin ORDER BY dep_delay) AS d, lag(dep_delay) OVER w AS before, lead(dep_delay, 2, -1) OVER w AS later,
  first_value(carrier) OVER w AS first, sum(distance) OVER w AS running, ntile(4) OVER w AS quarter, percent_rank() OVER w AS share, cume_dist() OVER w AS cumulated, nth_value(dest, 2) OVER w AS second,
  last_value(dest) OVER w AS current, avg(distance) OVER (PARTITION BY origin ORDER BY event_id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS moving
FROM departures WHERE event_id <= 90 WINDOW w AS (PARTITION BY origin ORDER BY event_id);
