-- Each event, with what reference data says of its key.
CREATE TABLE events (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, k STRING NOT NULL)
USING kafka OPTIONS (subscribe 'latency_in', value.format 'json', partitions '2');

CREATE TABLE names (k STRING NOT NULL, name STRING) USING csv OPTIONS (header 'true') LOCATION 'names.csv';

CREATE STREAMING TABLE out USING kafka TBLPROPERTIES ('topic' = 'latency_out', 'value.format' = 'json', 'partitions' = '2') AS
SELECT e.id, e.ts, e.k, n.name FROM STREAM events e JOIN names n ON e.k = n.k;
