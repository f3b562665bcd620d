-- Grid: power-meter readings, with other keys and joins than the flights example. See README.md for how to feed it with kcat.

-- 1  A meter sends its reading every few minutes. A reading is named by its meter and sequence number.
--    One partition is plenty for a street, and keeps all readings in the order in which they were sent.
CREATE TABLE readings (
  meter_id STRING    NOT NULL,
  seq      BIGINT    NOT NULL,
  taken_at TIMESTAMP NOT NULL,
  watts    DOUBLE    NOT NULL,
  volts    DOUBLE,
  firmware STRING
)
USING kafka OPTIONS (subscribe 'meter-readings', value.format 'json', partitions '1');

-- 6  What is known of each meter, kept by hand.
CREATE TABLE meters (meter_id STRING, street STRING, phases INT, limit_w DOUBLE)
USING csv OPTIONS (header 'true') LOCATION 'reference/meters.csv';

-- 2, 3  A single key: the last state of each meter. A later reading takes the place of the earlier one.
CREATE STREAMING TABLE meter_state USING cassandra
PARTITIONED BY (meter_id)
AS SELECT meter_id, seq, taken_at, watts, volts, firmware FROM STREAM readings;

-- A compound key and a join of the stream with reference data: every reading, with its street and its share of the limit. LEFT
-- keeps the readings of a meter that nobody has listed yet.
CREATE STREAMING TABLE loads USING cassandra
PARTITIONED BY (meter_id)
TBLPROPERTIES ('clustering_key' = 'seq DESC', 'ttl' = '90 days')
AS SELECT r.meter_id, r.seq, r.taken_at, m.street, r.watts, m.limit_w, r.watts / m.limit_w AS share
FROM STREAM readings r LEFT JOIN meters m ON r.meter_id = m.meter_id;

-- A window in append mode (the default): a quarter of an hour is written once, when the watermark has passed its end.
CREATE STREAMING TABLE quarter_hours USING cassandra
PARTITIONED BY (meter_id)
TBLPROPERTIES ('clustering_key' = 'quarter ASC')
AS SELECT meter_id, window.start AS quarter, count(*) AS readings, avg(watts) AS avg_w, max(watts) AS peak_w
FROM STREAM readings WATERMARK taken_at DELAY OF INTERVAL 5 MINUTES
GROUP BY meter_id, window(taken_at, '15 minutes');

-- 4, 9  The change feed of loads raises the readings that are near the limit of their meter.
CREATE STREAMING TABLE overloads USING redis
TBLPROPERTIES ('key' = 'meter_id, seq', 'ttl' = '2 hours')
AS SELECT meter_id, seq, taken_at, street, watts, limit_w, share FROM STREAM loads WHERE share > 0.9;

-- 5, 7, 8  A report by street, every hour and on demand.
CREATE MATERIALIZED VIEW street_load USING postgresql
TBLPROPERTIES ('primary_key' = 'street', 'schedule' = '0 * * * *')
AS SELECT coalesce(street, 'unknown') AS street, count(*) AS readings, avg(watts) AS avg_w, max(share) AS worst_share
FROM loads GROUP BY coalesce(street, 'unknown');
