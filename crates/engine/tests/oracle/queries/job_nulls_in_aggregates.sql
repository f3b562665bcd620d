-- Aggregates of nulls alone.
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin, flight_date) TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC')
AS SELECT origin, to_date(ts) AS flight_date, ts, event_id, carrier, dest, dep_delay, arr_delay, distance, tailnum FROM STREAM flights;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'carrier')
AS SELECT carrier, count(x) AS c, sum(x) AS s, avg(x) AS a, min(x) AS l, max(x) AS m FROM (SELECT carrier, CASE WHEN dep_delay > 100000 THEN dep_delay END AS x FROM departures) GROUP BY carrier;
