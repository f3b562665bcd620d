-- A count in windows and a join of two streams over the same events, whose topics keep records for two minutes only: a long run fills no disk.
CREATE TABLE events (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, k STRING NOT NULL)
USING kafka OPTIONS (subscribe 'long_in', value.format 'json', partitions '2', retention '2 minutes');

CREATE STREAMING TABLE counts USING kafka
TBLPROPERTIES ('topic' = 'long_counts', 'value.format' = 'json', 'key' = 'k, start', 'partitions' = '2', 'retention' = '2 minutes', 'output_mode' = 'update') AS
SELECT k, window.start AS start, count(*) AS n FROM STREAM events WATERMARK ts DELAY OF INTERVAL 1 MINUTE GROUP BY k, window(ts, '1 hour');

-- Each event meets itself, among the events of two seconds around it.
CREATE STREAMING TABLE pairs USING kafka
TBLPROPERTIES ('topic' = 'long_pairs', 'value.format' = 'json', 'partitions' = '2', 'retention' = '2 minutes') AS
SELECT a.id, a.ts, a.k, b.ts AS other_ts
FROM STREAM events WATERMARK ts DELAY OF INTERVAL 2 SECONDS AS a JOIN STREAM events WATERMARK ts DELAY OF INTERVAL 2 SECONDS AS b
  ON a.id = b.id AND b.ts BETWEEN a.ts - INTERVAL 1 SECOND AND a.ts + INTERVAL 1 SECOND;
