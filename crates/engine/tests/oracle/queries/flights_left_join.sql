-- Flights with the name of their destination, where it has one.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id ASC')
AS SELECT f.origin, f.event_id, f.dest, d.name, d.state FROM STREAM flights f LEFT JOIN airports d ON f.dest = d.faa WHERE f.event_id % 4 = 1;
