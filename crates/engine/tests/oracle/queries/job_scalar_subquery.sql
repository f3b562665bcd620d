-- Sub-queries in expressions.
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin, flight_date) TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC')
AS SELECT origin, to_date(ts) AS flight_date, ts, event_id, carrier, dest, dep_delay, arr_delay, distance, tailnum FROM STREAM flights;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'event_id')
AS SELECT event_id, dep_delay - (SELECT max(dep_delay) FROM departures) AS behind FROM departures WHERE carrier IN (SELECT carrier FROM airlines WHERE name LIKE '%Air%') AND dep_delay > 60;
