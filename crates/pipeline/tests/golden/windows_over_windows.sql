CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, carrier STRING NOT NULL, origin STRING NOT NULL, delay INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE TEMPORARY VIEW hours AS SELECT origin, window, window.start AS hour, count(*) AS n
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, window(ts, '1 hour');
CREATE STREAMING TABLE no_window USING cassandra PARTITIONED BY (origin)
AS SELECT origin, sum(n) AS n FROM STREAM hours GROUP BY origin;
CREATE STREAMING TABLE of_start USING cassandra PARTITIONED BY (day)
AS SELECT window(hour, '1 day').start AS day, sum(n) AS n FROM STREAM hours GROUP BY window(hour, '1 day');
CREATE STREAMING TABLE updated USING cassandra PARTITIONED BY (day) TBLPROPERTIES ('output_mode' = 'update')
AS SELECT window(window_time(window), '1 day').start AS day, sum(n) AS n FROM STREAM hours GROUP BY window(window_time(window), '1 day');
CREATE STREAMING TABLE sessions USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'began')
AS SELECT origin, session_window.start AS began, sum(n) AS n
   FROM STREAM hours GROUP BY origin, session_window(window_time(window), '3 hours');
CREATE STREAMING TABLE no_time USING cassandra PARTITIONED BY (origin) AS SELECT origin, window_time(delay) AS t FROM STREAM flights;
