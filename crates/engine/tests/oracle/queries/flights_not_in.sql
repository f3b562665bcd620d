-- NOT IN and a null.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id ASC')
AS SELECT origin, event_id, tailnum FROM STREAM flights WHERE tailnum NOT IN ('N100AA', 'N101UW') AND carrier = 'DL';
