-- The benchmark's job: every flight from the topic into the event store, as the flights pipeline does it, and nothing else.
CREATE TABLE flights (
  event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, year INT, month INT, day INT, dep_time INT, sched_dep_time INT, dep_delay INT, arr_time INT,
  sched_arr_time INT, arr_delay INT, carrier STRING NOT NULL, flight INT, tailnum STRING, origin STRING NOT NULL, dest STRING, air_time INT,
  distance INT, hour INT, minute INT, time_hour TIMESTAMP
)
USING kafka OPTIONS (subscribe 'flights', value.format 'json', partitions '4');

CREATE STREAMING TABLE departures USING cassandra
PARTITIONED BY (origin, flight_date)
TBLPROPERTIES ('clustering_key' = 'ts DESC, event_id ASC', 'ttl' = '400 days')
AS SELECT
  event_id, ts, to_date(ts) AS flight_date,
  year, month, day, dep_time, sched_dep_time, dep_delay, arr_time, sched_arr_time, arr_delay,
  carrier, flight, tailnum, origin, dest, air_time, distance, hour, minute, time_hour
FROM STREAM flights;
