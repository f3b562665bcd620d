-- Casts that may fail.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id ASC')
AS SELECT origin, event_id, try_cast(substring(tailnum, 2, 3) AS INT) AS number, try_cast(tailnum AS INT) AS none, CAST(dep_delay AS STRING) AS delay FROM STREAM flights WHERE event_id % 7 = 0;
