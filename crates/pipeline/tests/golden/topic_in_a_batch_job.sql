CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, carrier STRING NOT NULL, origin STRING NOT NULL, delay INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id')
AS SELECT event_id, ts, carrier, origin, delay FROM STREAM flights;
CREATE MATERIALIZED VIEW r USING postgresql TBLPROPERTIES ('primary_key' = 'origin')
AS SELECT origin, count(*) AS n FROM flights GROUP BY origin;
CREATE MATERIALIZED VIEW s USING postgresql TBLPROPERTIES ('primary_key' = 'origin')
AS SELECT origin, count(*) AS n FROM STREAM departures GROUP BY origin;
