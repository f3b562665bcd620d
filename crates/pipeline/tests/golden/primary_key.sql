CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, carrier STRING NOT NULL, origin STRING NOT NULL, delay INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id')
AS SELECT event_id, ts, carrier, origin, delay FROM STREAM flights;
CREATE MATERIALIZED VIEW r USING postgresql
AS SELECT origin, count(*) AS n FROM departures GROUP BY origin;
CREATE MATERIALIZED VIEW s USING postgresql TBLPROPERTIES ('primary_key' = 'carrier')
AS SELECT origin, count(*) AS n FROM departures GROUP BY origin;
