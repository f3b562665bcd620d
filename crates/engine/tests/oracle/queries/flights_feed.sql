-- A flow on the change feed of another.
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin, flight_date) TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC')
AS SELECT origin, to_date(ts) AS flight_date, ts, event_id, carrier, dest, dep_delay, arr_delay, distance, tailnum FROM STREAM flights;

CREATE STREAMING TABLE result USING redis TBLPROPERTIES ('key' = 'origin, flight_date, ts, event_id')
AS SELECT * FROM STREAM departures WHERE dep_delay >= 120;
