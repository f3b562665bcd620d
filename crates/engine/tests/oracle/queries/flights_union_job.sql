-- Reports over two tables.
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin, flight_date) TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC')
AS SELECT origin, to_date(ts) AS flight_date, ts, event_id, carrier, dest, dep_delay, arr_delay, distance, tailnum FROM STREAM flights;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'carrier')
AS SELECT carrier, sum(n) AS n, count(*) AS parts FROM (SELECT carrier, count(*) AS n FROM departures GROUP BY carrier UNION ALL SELECT carrier, 1 AS n FROM airlines) GROUP BY carrier;
