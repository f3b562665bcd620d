CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, carrier STRING NOT NULL, origin STRING NOT NULL, delay INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE STREAMING TABLE to_mysql USING mysql AS SELECT origin FROM STREAM flights;
CREATE STREAMING TABLE to_csv USING csv AS SELECT origin FROM STREAM flights;
CREATE STREAMING TABLE to_casandra USING casandra AS SELECT origin FROM STREAM flights;
CREATE STREAMING TABLE nowhere AS SELECT origin FROM STREAM flights;
