-- Percentiles and the like over a table.
-- @tolerance 1e-9: sums of floating-point numbers depend on the order of the rows
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin, flight_date) TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC')
AS SELECT origin, to_date(ts) AS flight_date, ts, event_id, carrier, dest, dep_delay, arr_delay, distance, tailnum FROM STREAM flights;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'origin')
AS SELECT origin, percentile(dep_delay, 0.9) AS p90, percentile(DISTINCT distance, 0.25) AS different, percentile_cont(0.1) WITHIN GROUP (ORDER BY distance) AS p10,
  percentile_disc(0.1) WITHIN GROUP (ORDER BY distance) AS d10, percentile_approx(distance, 0.1) AS a10, percentile(distance, 0.5, 3) AS thrice, mode(carrier, true) AS carrier, skewness(dep_delay) AS skew, kurtosis(dep_delay) AS tail
FROM departures GROUP BY origin;
