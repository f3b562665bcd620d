CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, carrier STRING NOT NULL, origin STRING NOT NULL, delay INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE TABLE airlines USING parquet LOCATION 'airlines.parquet';
CREATE STREAMING TABLE d USING cassandra PARTITIONED BY (origin)
AS SELECT origin, carrier FROM STREAM flights f JOIN airlines a ON f.carrier = a.carrier;
