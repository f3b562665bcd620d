-- Cancelled flights: a comparison with null is not true.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id ASC')
AS SELECT origin, event_id, dep_delay, arr_delay IS NULL AS gone, dep_delay <=> arr_delay AS same
FROM STREAM flights WHERE dep_delay IS NULL OR NOT (dep_delay < 60);
