-- A query with a name.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id ASC')
AS WITH slow AS (SELECT origin, event_id, air_time, distance FROM STREAM flights WHERE air_time > 200)
SELECT origin, event_id, distance / air_time AS speed FROM slow WHERE distance > 1500;
