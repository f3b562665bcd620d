-- The count of each key, written anew at every epoch that changed it.
CREATE TABLE events (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, k STRING NOT NULL)
USING kafka OPTIONS (subscribe 'latency_in', value.format 'json', partitions '2');

CREATE STREAMING TABLE out USING kafka
TBLPROPERTIES ('topic' = 'latency_out', 'value.format' = 'json', 'key' = 'k, start', 'partitions' = '2', 'output_mode' = 'update') AS
SELECT k, window.start AS start, count(*) AS n FROM STREAM events WATERMARK ts DELAY OF INTERVAL 1 MINUTE GROUP BY k, window(ts, '1 hour');
