-- Rows whose value can not be computed are not in the result.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id ASC')
AS SELECT origin, event_id, 1000 / (event_id % 3) AS share FROM STREAM flights WHERE event_id < 60 AND event_id % 3 <> 0;
