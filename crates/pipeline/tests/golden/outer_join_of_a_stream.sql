CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, carrier STRING NOT NULL, origin STRING NOT NULL, delay INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE TABLE airlines USING parquet LOCATION 'airlines.parquet';
CREATE STREAMING TABLE d USING cassandra PARTITIONED BY (origin)
AS SELECT f.origin, a.name FROM STREAM flights f RIGHT JOIN airlines a ON f.carrier = a.carrier;
CREATE STREAMING TABLE e USING cassandra PARTITIONED BY (origin)
AS SELECT f.origin, a.name FROM STREAM flights f FULL OUTER JOIN airlines a ON f.carrier = a.carrier;
CREATE STREAMING TABLE g USING cassandra PARTITIONED BY (origin)
AS SELECT f.origin, a.name FROM airlines a LEFT JOIN STREAM flights f ON f.carrier = a.carrier;
CREATE STREAMING TABLE h USING cassandra PARTITIONED BY (origin)
AS SELECT f.origin, a.name FROM STREAM flights f JOIN airlines a ON f.carrier < a.carrier;
