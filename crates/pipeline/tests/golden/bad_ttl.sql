CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, carrier STRING NOT NULL, origin STRING NOT NULL, delay INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE STREAMING TABLE d USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('ttl' = '400')
AS SELECT origin FROM STREAM flights;
CREATE STREAMING TABLE e USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('ttl' = '2 moons')
AS SELECT origin FROM STREAM flights;
CREATE STREAMING TABLE f USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('ttl' = '1 year')
AS SELECT origin FROM STREAM flights;
