CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, carrier STRING NOT NULL, origin STRING NOT NULL, delay INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE TABLE airlines USING parquet LOCATION 'airlines.parquet';
CREATE STREAMING TABLE d USING cassandra PARTITIONED BY (carrier)
AS SELECT carrier, name FROM STREAM airlines;
