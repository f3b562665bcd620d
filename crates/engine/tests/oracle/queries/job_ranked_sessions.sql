-- The longest session of each carrier.
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin, flight_date) TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC')
AS SELECT origin, to_date(ts) AS flight_date, ts, event_id, carrier, dest, dep_delay, arr_delay, distance, tailnum FROM STREAM flights;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'carrier')
AS SELECT carrier, begins, flights FROM
  (SELECT carrier, begins, flights, row_number() OVER (PARTITION BY carrier ORDER BY flights DESC, begins) AS place FROM
    (SELECT carrier, session_window.start AS begins, count(*) AS flights FROM departures GROUP BY carrier, session_window(ts, '1 hour')))
WHERE place = 1;
