CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, carrier STRING NOT NULL, origin STRING NOT NULL, delay INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id')
AS SELECT event_id, ts, carrier, origin, delay FROM STREAM flights;
CREATE STREAMING TABLE late USING redis TBLPROPERTIES ('key' = 'event_id', 'ttl' = '1 hour')
AS SELECT * FROM STREAM departures WHERE delay > 120;
