-- Statistics, whose last digits depend on the order.
-- @tolerance 1e-9: sums of floating-point numbers depend on the order of the rows
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin, flight_date) TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC')
AS SELECT origin, to_date(ts) AS flight_date, ts, event_id, carrier, dest, dep_delay, arr_delay, distance, tailnum FROM STREAM flights;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'origin')
AS SELECT origin, stddev(dep_delay) AS s, stddev_pop(dep_delay) AS sp, stddev_samp(dep_delay) AS ss, std(dep_delay) AS sd, variance(dep_delay) AS v, var_pop(dep_delay) AS vp, var_samp(dep_delay) AS vs, corr(dep_delay, arr_delay) AS c,
  covar_pop(dep_delay, arr_delay) AS cp, covar_samp(dep_delay, arr_delay) AS cs, regr_slope(dep_delay, arr_delay) AS slope, regr_intercept(dep_delay, arr_delay) AS intercept, regr_r2(dep_delay, arr_delay) AS r2,
  regr_count(dep_delay, arr_delay) AS n, regr_avgx(dep_delay, arr_delay) AS ax, regr_avgy(dep_delay, arr_delay) AS ay, regr_sxx(dep_delay, arr_delay) AS sxx, regr_syy(dep_delay, arr_delay) AS syy, regr_sxy(dep_delay, arr_delay) AS sxy
FROM departures GROUP BY origin;
