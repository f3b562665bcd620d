CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, carrier STRING NOT NULL, origin STRING NOT NULL, delay INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE STREAMING TABLE d USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'ts DOWN, event_id')
AS SELECT event_id, ts, origin FROM STREAM flights;
CREATE STREAMING TABLE e USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'ts, ,')
AS SELECT event_id, ts, origin FROM STREAM flights;
