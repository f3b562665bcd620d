CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, carrier STRING NOT NULL, origin STRING NOT NULL, delay INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id')
AS SELECT event_id, ts, carrier, origin, delay FROM STREAM flights;
CREATE STREAMING TABLE d USING cassandra PARTITIONED BY (origin)
AS SELECT f.origin, d.delay FROM STREAM flights f JOIN STREAM departures d ON f.event_id = d.event_id;
