-- Patterns.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id ASC')
AS SELECT origin, event_id, tailnum, tailnum LIKE 'N1%' AS ones, tailnum RLIKE '[0-9]{3}(AA|UW)' AS known, tailnum NOT LIKE '%JB' AS other FROM STREAM flights WHERE event_id % 8 = 3;
