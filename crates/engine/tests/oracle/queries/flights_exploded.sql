-- Words of the tail number.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (event_id) TBLPROPERTIES ('clustering_key' = 'pos ASC')
AS SELECT event_id, pos, part FROM STREAM flights LATERAL VIEW posexplode(array(tailnum, origin)) AS pos, part WHERE dep_delay > 100;
