-- Statistics of one row and of none.
-- @tolerance 1e-9: sums of floating-point numbers depend on the order of the rows
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin, flight_date) TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC')
AS SELECT origin, to_date(ts) AS flight_date, ts, event_id, carrier, dest, dep_delay, arr_delay, distance, tailnum FROM STREAM flights;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'carrier')
AS SELECT carrier, stddev(distance) AS s, var_samp(distance) AS v, corr(dep_delay, distance) AS c, var_pop(distance) AS vp, count(*) AS n FROM departures WHERE event_id IN (1, 2, 3, 4, 5, 6) GROUP BY carrier;
