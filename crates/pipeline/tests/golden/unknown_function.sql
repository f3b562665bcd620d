CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, carrier STRING NOT NULL, origin STRING NOT NULL, delay INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE STREAMING TABLE d USING cassandra PARTITIONED BY (origin)
AS SELECT origin, uper(carrier) AS carrier, strpos(carrier, 'A') AS at FROM STREAM flights;
