CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, carrier STRING NOT NULL, origin STRING NOT NULL, delay INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE STREAMING TABLE a USING kafka AS SELECT origin FROM STREAM flights;
CREATE STREAMING TABLE b USING kafka TBLPROPERTIES ('topic' = 'late flights', 'value.format' = 'xml', 'partitions' = '0')
AS SELECT origin FROM STREAM flights;
CREATE STREAMING TABLE c USING kafka OPTIONS (topic 'late', value.format 'json') AS SELECT origin FROM STREAM flights;
CREATE STREAMING TABLE d USING kafka PARTITIONED BY (origin) TBLPROPERTIES ('topic' = 'late', 'value.format' = 'json', 'ttl' = '1 hour')
AS SELECT origin FROM STREAM flights;
CREATE STREAMING TABLE e USING kafka TBLPROPERTIES ('topic' = 'late', 'value.format' = 'json', 'key' = 'orign')
AS SELECT origin FROM STREAM flights;
CREATE STREAMING TABLE f USING kafka TBLPROPERTIES ('topic' = 'late', 'value.format' = 'json')
AS SELECT origin, _offset FROM STREAM flights;
CREATE STREAMING TABLE g USING kafka TBLPROPERTIES ('topic' = 'late', 'value.format' = 'avro')
AS SELECT origin AS `the-origin` FROM STREAM flights;
CREATE STREAMING TABLE h USING kafka TBLPROPERTIES ('subscribe' = 'late', 'value.format' = 'json') AS SELECT origin FROM STREAM flights;
