-- A temporary view over a topic.
CREATE TEMPORARY VIEW late AS SELECT origin, event_id, dep_delay AS delay FROM STREAM flights WHERE dep_delay > 30;

CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id ASC')
AS SELECT origin, event_id, delay FROM STREAM late WHERE delay > 100;
