-- A null is equal to nothing.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id ASC')
AS SELECT f.origin, f.event_id, f.tailnum, a.name FROM STREAM flights f LEFT JOIN airlines a ON substring(f.tailnum, 5) = a.carrier WHERE f.event_id % 4 = 0;
