-- The median.
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin, flight_date) TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC')
AS SELECT origin, to_date(ts) AS flight_date, ts, event_id, carrier, dest, dep_delay, arr_delay, distance, tailnum FROM STREAM flights;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'origin')
AS SELECT origin, median(distance) AS middle, mean(distance) AS mean, try_sum(distance) AS sum FROM departures GROUP BY origin;
