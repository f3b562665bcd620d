CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, carrier STRING NOT NULL, origin STRING NOT NULL, delay INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id')
AS SELECT event_id, ts, carrier, origin, delay FROM STREAM flights;
CREATE MATERIALIZED VIEW airport_stats USING postgresql TBLPROPERTIES ('primary_key' = 'origin', 'schedule' = '*/5 * * * *')
AS SELECT origin, avg(delay) AS usual FROM departures GROUP BY origin;
-- A view has no changes to read; a join keeps the stream's rows, not the view's.
CREATE STREAMING TABLE a USING cassandra PARTITIONED BY (origin)
AS SELECT origin, usual FROM STREAM airport_stats;
CREATE STREAMING TABLE b USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id')
AS SELECT f.origin, f.event_id, s.usual FROM STREAM flights f RIGHT JOIN airport_stats s ON f.origin = s.origin;
-- What flows write is never whole: neither a relational table nor an event-store table is joined.
CREATE STREAMING TABLE recent USING postgresql TBLPROPERTIES ('primary_key' = 'origin, event_id')
AS SELECT origin, event_id, delay FROM STREAM flights;
CREATE STREAMING TABLE c USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id')
AS SELECT f.origin, f.event_id, r.delay FROM STREAM flights f JOIN recent r ON f.origin = r.origin;
CREATE TEMPORARY VIEW of_departures AS SELECT origin, max(delay) AS most FROM departures GROUP BY origin;
CREATE STREAMING TABLE d USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id')
AS SELECT f.origin, f.event_id, o.most FROM STREAM flights f JOIN of_departures o ON f.origin = o.origin;
-- A view of what the flow itself writes would make each refresh another one's input.
CREATE STREAMING TABLE judged USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id')
AS SELECT f.origin, f.event_id, f.delay - coalesce(j.usual, 0) AS beyond FROM STREAM flights f LEFT JOIN judgements j ON f.origin = j.origin;
CREATE MATERIALIZED VIEW judgements USING postgresql TBLPROPERTIES ('primary_key' = 'origin')
AS SELECT origin, avg(beyond) AS usual FROM judged GROUP BY origin;
