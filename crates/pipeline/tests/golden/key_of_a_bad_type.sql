CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, carrier STRING NOT NULL, origin STRING NOT NULL, delay INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE STREAMING TABLE d USING cassandra PARTITIONED BY (delay_hours) TBLPROPERTIES ('clustering_key' = 'event_id, event_id')
AS SELECT delay / 60 AS delay_hours, event_id, origin FROM STREAM flights;
