-- Flights: the reference architecture in one file, over the real 2013 departures of New York's three airports.
--
-- Every statement is Spark SQL (the dialect of Apache Spark Declarative Pipelines). `USING` names a protocol, never a machine:
-- without a configuration the engines inside Millstream speak it. The numbers are the boxes of docs/ARCHITECTURE.md.
--
--   millstream demo                                     starts this pipeline and publishes the year
--   millstream check examples/flights/pipeline.sql      says what is wrong, and where
--   millstream explain examples/flights/pipeline.sql    prints what reads what, and who serves it


-- ---------------------------------------------------------------------------------------------------------------------
-- 1  Events arrive on a topic. Any Kafka client produces: one JSON object per record, whose fields are these columns.
--
-- A value that doesn't fit (broken JSON, text in an INT, null in a NOT NULL column) goes to system.dead_letters with the reason;
-- the events around it go on. Fields that are not listed here are ignored, and a field that is missing is null.
CREATE TABLE flights (
  event_id       BIGINT    NOT NULL,   -- counts from 1 in the order of the schedule
  ts             TIMESTAMP NOT NULL,   -- scheduled departure; the local clock, taken as UTC
  year           INT,
  month          INT,
  day            INT,
  dep_time       INT,                  -- HHMM, local; null for a flight that was cancelled
  sched_dep_time INT,
  dep_delay      INT,                  -- minutes; negative: left early
  arr_time       INT,
  sched_arr_time INT,
  arr_delay      INT,
  carrier        STRING    NOT NULL,   -- two letters, see airlines
  flight         INT,
  tailnum        STRING,               -- see planes
  origin         STRING    NOT NULL,   -- EWR, JFK or LGA, see airports
  dest           STRING,
  air_time       INT,                  -- minutes
  distance       INT,                  -- miles
  hour           INT,
  minute         INT,
  time_hour      TIMESTAMP             -- the scheduled hour, as a true instant
)
USING kafka OPTIONS (subscribe 'flights', value.format 'json', partitions '4');


-- ---------------------------------------------------------------------------------------------------------------------
-- 2, 3  Stream processing writes every event to the event store.
--
-- PARTITIONED BY is what a reader must name: one airport on one day, some 300 rows. The clustering key orders the rows inside the
-- partition and completes the primary key, so an event that is delivered twice is one row.
CREATE STREAMING TABLE departures USING cassandra
PARTITIONED BY (origin, flight_date)
TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC', 'ttl' = '400 days')
AS SELECT
  event_id, ts, to_date(ts) AS flight_date,
  year, month, day, dep_time, sched_dep_time, dep_delay, arr_time, sched_arr_time, arr_delay,
  carrier, flight, tailnum, origin, dest, air_time, distance, hour, minute, time_hour
FROM STREAM flights;

-- An aggregate over time. The watermark follows the event times at a distance of 2 hours: an hour stays open for events that come
-- that much too late, then its state is dropped. What comes later still goes to system.late_rows. In update mode a row is written
-- at every step that changed it, so its sink is keyed by the grouping columns; the default, append, writes it once, at the end.
CREATE STREAMING TABLE hourly_delays USING cassandra
PARTITIONED BY (origin)
TBLPROPERTIES ('clustering_key' = 'hour DESC', 'output_mode' = 'update')
AS SELECT
  origin,
  window.start   AS hour,
  count(*)       AS flights,
  avg(dep_delay) AS avg_delay,
  max(dep_delay) AS max_delay
FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS
GROUP BY origin, window(ts, '1 hour');


-- ---------------------------------------------------------------------------------------------------------------------
-- 4, 9  To read an event-store table as a STREAM is to read its change feed. Here it raises critical events into the cache.
--
-- The key contains the whole primary key of departures: so when a row is not in the cache, the API (box 10) can read it from
-- departures, apply this query to it, and fill the cache. A departure that is corrected to less than two hours leaves this table.
CREATE STREAMING TABLE critical_delays USING redis
TBLPROPERTIES ('key' = 'origin, flight_date, ts, event_id', 'ttl' = '1 hour')
AS SELECT * FROM STREAM departures WHERE dep_delay >= 120;


-- ---------------------------------------------------------------------------------------------------------------------
-- 6  Reference data: files beside this one, looked at for changes once a minute ('refresh' sets another interval).
CREATE TABLE airlines USING parquet LOCATION 'reference/airlines.parquet';   -- carrier, name
CREATE TABLE airports USING parquet LOCATION 'reference/airports.parquet';   -- faa, name, lat, lon, alt, tz, dst, tzone
CREATE TABLE planes   USING parquet LOCATION 'reference/planes.parquet';     -- tailnum, year, type, manufacturer, model, ...


-- ---------------------------------------------------------------------------------------------------------------------
-- 5, 7, 8  A batch job enriches the events and publishes a report, every five minutes (cron, UTC) and on demand:
--
--   millstream refresh carrier_daily
--   psql -h 127.0.0.1 -c 'select * from carrier_daily order by avg_delay desc nulls last limit 5'
--
-- It reads one consistent snapshot, and readers see the old report or the new one, never half of it.
CREATE MATERIALIZED VIEW carrier_daily USING postgresql
TBLPROPERTIES ('primary_key' = 'carrier, flight_date', 'schedule' = '*/5 * * * *')
AS SELECT
  d.carrier, a.name, d.flight_date,
  count(*)         AS departures,
  avg(d.dep_delay) AS avg_delay
FROM departures d JOIN airlines a ON d.carrier = a.carrier
GROUP BY d.carrier, a.name, d.flight_date;
