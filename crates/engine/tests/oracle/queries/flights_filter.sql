-- Late flights.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id ASC')
AS SELECT origin, event_id, dep_delay, arr_delay FROM STREAM flights WHERE dep_delay >= 60 OR arr_delay >= 60;
