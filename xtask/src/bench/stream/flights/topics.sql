-- A topic of flights, and reference data; each job's query follows.
CREATE TABLE flights (
  event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, year INT, month INT, day INT, dep_time INT, sched_dep_time INT, dep_delay INT, arr_time INT,
  sched_arr_time INT, arr_delay INT, carrier STRING NOT NULL, flight INT, tailnum STRING, origin STRING NOT NULL, dest STRING, air_time INT,
  distance INT, hour INT, minute INT, time_hour TIMESTAMP
)
USING kafka OPTIONS (subscribe 'bench_stream_flights', value.format 'json', partitions '4');

CREATE TABLE airlines USING parquet LOCATION 'airlines.parquet';

