CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, carrier STRING NOT NULL, origin STRING NOT NULL, delay INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE STREAMING TABLE updated USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'began', 'output_mode' = 'update')
AS SELECT origin, session_window.start AS began, count(*) AS n
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, session_window(ts, '1 hour');
CREATE STREAMING TABLE of_nothing USING cassandra PARTITIONED BY (began)
AS SELECT session_window.start AS began, count(*) AS n
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY session_window(ts, '1 hour');
CREATE STREAMING TABLE no_gap USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'began')
AS SELECT origin, session_window.start AS began, count(*) AS n
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, session_window(ts, '0 minutes');
CREATE STREAMING TABLE interval_gap USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'began')
AS SELECT origin, session_window.start AS began, count(*) AS n
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, session_window(ts, INTERVAL 10 MINUTES);
CREATE STREAMING TABLE number_gap USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'began')
AS SELECT origin, session_window.start AS began, count(*) AS n
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, session_window(ts, 600);
CREATE STREAMING TABLE column_gap USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'began')
AS SELECT origin, session_window.start AS began, count(*) AS n
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, session_window(ts, delay);
CREATE STREAMING TABLE no_time USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'began')
AS SELECT origin, session_window.start AS began, count(*) AS n
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, session_window(carrier, '1 hour');
CREATE STREAMING TABLE key_lacks_start USING cassandra PARTITIONED BY (origin)
AS SELECT origin, session_window.start AS began, count(*) AS n
   FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, session_window(ts, '1 hour');
CREATE STREAMING TABLE not_grouped USING cassandra PARTITIONED BY (event_id)
AS SELECT event_id, session_window(ts, '1 hour').start AS began FROM STREAM flights;
