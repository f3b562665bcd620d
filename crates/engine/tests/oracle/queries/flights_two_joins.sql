-- Both ends of a flight.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id ASC')
AS SELECT f.origin, f.event_id, o.name AS begins, d.name AS ends, al.name AS airline FROM STREAM flights f
JOIN airports o ON f.origin = o.faa LEFT JOIN airports d ON f.dest = d.faa JOIN airlines al ON f.carrier = al.carrier WHERE f.distance > 1900;
