-- The tables that queries may read. Each topic's events are the lines of events/NAME.jsonl, each reference table's rows too.

CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, carrier STRING NOT NULL, flight INT, tailnum STRING,
  origin STRING NOT NULL, dest STRING, dep_delay INT, arr_delay INT, air_time INT, distance INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json', partitions '2');

CREATE TABLE person (id BIGINT NOT NULL, name STRING, email_address STRING, credit_card STRING, city STRING, state STRING,
  date_time TIMESTAMP NOT NULL, extra STRING)
USING kafka OPTIONS (subscribe 'person', value.format 'json', partitions '2');

CREATE TABLE auction (id BIGINT NOT NULL, item_name STRING, description STRING, initial_bid BIGINT, reserve BIGINT,
  date_time TIMESTAMP NOT NULL, expires TIMESTAMP, seller BIGINT NOT NULL, category BIGINT, extra STRING)
USING kafka OPTIONS (subscribe 'auction', value.format 'json', partitions '2');

CREATE TABLE bid (auction BIGINT NOT NULL, bidder BIGINT NOT NULL, price BIGINT NOT NULL, channel STRING, url STRING,
  date_time TIMESTAMP NOT NULL, extra STRING)
USING kafka OPTIONS (subscribe 'bid', value.format 'json', partitions '2');

CREATE TABLE kinds (id BIGINT NOT NULL, at TIMESTAMP NOT NULL, flag BOOLEAN, tiny TINYINT, small SMALLINT, whole INT, large BIGINT,
  single FLOAT, real DOUBLE, price DECIMAL(10, 2), exact DECIMAL(38, 18), word STRING, bytes BINARY, day DATE, moment TIMESTAMP,
  local TIMESTAMP_NTZ)
USING kafka OPTIONS (subscribe 'kinds', value.format 'json', partitions '2');

CREATE TABLE measures (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, sensor STRING NOT NULL, value INT, how STRING)
USING kafka OPTIONS (subscribe 'measures', value.format 'json', partitions '1');

CREATE TABLE airlines (carrier STRING, name STRING) USING json LOCATION 'events/airlines.jsonl';

CREATE TABLE airports (faa STRING, name STRING, state STRING, runways INT) USING json LOCATION 'events/airports.jsonl';

CREATE TABLE categories (id BIGINT, name STRING, fee DECIMAL(5, 3)) USING json LOCATION 'events/categories.jsonl';
