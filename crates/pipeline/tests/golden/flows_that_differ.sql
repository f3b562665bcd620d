CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, carrier STRING NOT NULL, origin STRING NOT NULL, delay INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE STREAMING TABLE d (origin STRING NOT NULL, event_id BIGINT NOT NULL, delay INT NOT NULL) USING cassandra PARTITIONED BY (origin);
CREATE FLOW one AS INSERT INTO d BY NAME SELECT origin, event_id FROM STREAM flights;
CREATE FLOW two AS INSERT INTO d BY NAME SELECT origin, carrier AS event_id, delay, ts FROM STREAM flights;
CREATE FLOW three AS INSERT INTO nowhere BY NAME SELECT origin FROM STREAM flights;
