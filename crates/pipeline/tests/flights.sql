-- 1  events arrive on a topic
CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, year INT, month INT, day INT, dep_time INT, sched_dep_time INT,
  dep_delay INT, arr_time INT, sched_arr_time INT, arr_delay INT, carrier STRING NOT NULL, flight INT, tailnum STRING,
  origin STRING NOT NULL, dest STRING, air_time INT, distance INT, hour INT, minute INT, time_hour TIMESTAMP)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');

-- 2, 3  stream processing writes them to the event store
CREATE STREAMING TABLE departures USING cassandra
PARTITIONED BY (origin, flight_date)
TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC', 'ttl' = '400 days')
AS SELECT event_id, ts, to_date(ts) AS flight_date, carrier, flight, tailnum, origin, dest, dep_delay, arr_delay, air_time, distance FROM STREAM flights;

CREATE STREAMING TABLE hourly_delays USING cassandra
PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour DESC', 'output_mode' = 'update')
AS SELECT origin, window.start AS hour, count(*) AS flights, avg(dep_delay) AS avg_delay, max(dep_delay) AS max_delay
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS
   GROUP BY origin, window(ts, '1 hour');

-- 4, 9  reading an event-store table as a STREAM is its change feed; here it raises critical events into the cache
CREATE STREAMING TABLE critical_delays USING redis
TBLPROPERTIES ('key' = 'origin, flight_date, ts, event_id', 'ttl' = '1 hour')
AS SELECT * FROM STREAM departures WHERE dep_delay >= 120;

-- 6  reference data
CREATE TABLE airlines USING parquet LOCATION 'reference/airlines.parquet';
CREATE TABLE airports USING parquet LOCATION 'reference/airports.parquet';   -- MySQL by configuration, below

-- 5, 7, 8  a scheduled batch job enriches events and publishes a report
CREATE MATERIALIZED VIEW carrier_daily USING postgresql
TBLPROPERTIES ('primary_key' = 'carrier, flight_date', 'schedule' = '*/5 * * * *')
AS SELECT d.carrier, a.name, d.flight_date, count(*) AS departures, avg(d.dep_delay) AS avg_delay
   FROM departures d JOIN airlines a ON d.carrier = a.carrier GROUP BY d.carrier, a.name, d.flight_date;
