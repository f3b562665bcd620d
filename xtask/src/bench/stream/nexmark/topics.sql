-- The topics of an auction, as the Nexmark benchmark has them; each job's query follows.
CREATE TABLE person (
  id BIGINT NOT NULL, name STRING, email_address STRING, credit_card STRING, city STRING, state STRING, date_time TIMESTAMP NOT NULL, extra STRING
)
USING kafka OPTIONS (subscribe 'bench_stream_person', value.format 'json', partitions '4');

CREATE TABLE auction (
  id BIGINT NOT NULL, item_name STRING, description STRING, initial_bid BIGINT, reserve BIGINT, date_time TIMESTAMP NOT NULL, expires TIMESTAMP,
  seller BIGINT NOT NULL, category BIGINT, extra STRING
)
USING kafka OPTIONS (subscribe 'bench_stream_auction', value.format 'json', partitions '4');

CREATE TABLE bid (
  auction BIGINT NOT NULL, bidder BIGINT NOT NULL, price BIGINT NOT NULL, channel STRING, url STRING, date_time TIMESTAMP NOT NULL, extra STRING
)
USING kafka OPTIONS (subscribe 'bench_stream_bid', value.format 'json', partitions '4');

