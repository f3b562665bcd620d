CREATE TABLE flights (event_id BIGINT NOT NULL, origin STRING)
USING kafka OPTIONS (subscribe 'flights', value.format 'json', partition 8, startingOffsets 'earliest');
CREATE STREAMING TABLE d USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clusteringkey' = 'event_id')
AS SELECT origin FROM STREAM flights;
