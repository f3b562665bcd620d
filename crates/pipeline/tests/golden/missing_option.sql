CREATE TABLE flights (event_id BIGINT NOT NULL) USING kafka;
CREATE TABLE airlines USING parquet;
CREATE TABLE planes;
CREATE TABLE empty USING kafka OPTIONS (subscribe 'empty', value.format 'json');
