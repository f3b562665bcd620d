CREATE TABLE flights (event_id BIGINT NOT NULL, origin STRING NOT NULL)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE STREAMING TABLE lines USING kafka TBLPROPERTIES ('topic' = 'lines', 'value.format' = 'csv') AS SELECT origin FROM STREAM flights;
CREATE STREAMING TABLE records USING kafka TBLPROPERTIES ('topic' = 'records', 'value.format' = 'avro') AS SELECT origin FROM STREAM flights;
CREATE STREAMING TABLE from_lines USING cassandra PARTITIONED BY (origin) AS SELECT origin FROM STREAM lines;
CREATE STREAMING TABLE from_records USING cassandra PARTITIONED BY (origin) AS SELECT origin FROM STREAM records;
