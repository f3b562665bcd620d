-- Flights with the name of their airline.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id ASC')
AS SELECT f.origin, f.event_id, f.carrier, a.name FROM STREAM flights f JOIN airlines a ON f.carrier = a.carrier WHERE f.dep_delay > 60;
