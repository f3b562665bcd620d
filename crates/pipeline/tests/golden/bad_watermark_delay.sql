CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, carrier STRING NOT NULL, origin STRING NOT NULL, delay INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE STREAMING TABLE f USING cassandra PARTITIONED BY (origin)
AS SELECT origin FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 MONTHS;
