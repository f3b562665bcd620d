CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, origin STRING NOT NULL, delay INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE TABLE bookings (id BIGINT NOT NULL, origin STRING)
USING kafka OPTIONS (subscribe 'bookings', value.format 'json', key.columns 'id');
CREATE STREAMING TABLE hours USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour', 'output_mode' = 'update')
AS SELECT origin, window.start AS hour, count(*) AS n FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 1 HOUR GROUP BY origin, window(ts, '1 hour');
CREATE STREAMING TABLE hour_files USING parquet TBLPROPERTIES ('output_mode' = 'update')
AS SELECT origin, window.start AS hour, count(*) AS n FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 1 HOUR GROUP BY origin, window(ts, '1 hour');
CREATE STREAMING TABLE feed_files USING parquet AS SELECT * FROM STREAM hours;
CREATE STREAMING TABLE booking_files USING parquet AS SELECT * FROM STREAM bookings;
CREATE STREAMING TABLE hour_topic USING kafka TBLPROPERTIES ('topic' = 'hours', 'value.format' = 'json', 'output_mode' = 'update')
AS SELECT origin, window.start AS hour, count(*) AS n FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 1 HOUR GROUP BY origin, window(ts, '1 hour');
CREATE STREAMING TABLE booking_topic USING kafka TBLPROPERTIES ('topic' = 'copies', 'value.format' = 'json') AS SELECT * FROM STREAM bookings;
CREATE STREAMING TABLE narrow_key USING kafka
TBLPROPERTIES ('topic' = 'origins', 'value.format' = 'json', 'key' = 'origin', 'output_mode' = 'update')
AS SELECT origin, window.start AS hour, count(*) AS n FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 1 HOUR GROUP BY origin, window(ts, '1 hour');
CREATE STREAMING TABLE expiring USING parquet TBLPROPERTIES ('ttl' = '1 day', 'key' = 'origin') AS SELECT origin FROM STREAM flights;
