-- Aggregates over a table.
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin, flight_date) TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC')
AS SELECT origin, to_date(ts) AS flight_date, ts, event_id, carrier, dest, dep_delay, arr_delay, distance, tailnum FROM STREAM flights;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'origin')
AS SELECT origin, count(*) AS n, count(dep_delay) AS known, sum(dep_delay) AS sum, avg(dep_delay) AS mean, min(ts) AS first, max(ts) AS last, min(dest) AS least,
  count(DISTINCT carrier) AS carriers, bool_and(distance > 0) AS far, some(dep_delay > 100) AS late, every(dep_delay > -50) AS sane, bit_xor(event_id) AS bits, bit_and(event_id) AS ands
FROM departures GROUP BY origin;
