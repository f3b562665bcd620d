CREATE TABLE flights (event_id BIGINT NOT NULL, origin STRING NOT NULL, delay DOUBLE)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE STREAMING TABLE no_key USING postgresql AS SELECT * FROM STREAM flights;
CREATE STREAMING TABLE expires USING postgresql TBLPROPERTIES ('primary_key' = 'event_id', 'ttl' = '1 day') AS SELECT * FROM STREAM flights;
CREATE STREAMING TABLE scheduled USING postgresql TBLPROPERTIES ('primary_key' = 'event_id', 'schedule' = '* * * * *') AS SELECT * FROM STREAM flights;
CREATE STREAMING TABLE wrong_key USING postgresql TBLPROPERTIES ('primary_key' = 'delay') AS SELECT * FROM STREAM flights;
CREATE STREAMING TABLE fine USING postgresql TBLPROPERTIES ('primary_key' = 'event_id') AS SELECT * FROM STREAM flights;
CREATE STREAMING TABLE of_it USING postgresql TBLPROPERTIES ('primary_key' = 'event_id') AS SELECT * FROM STREAM fine;
CREATE MATERIALIZED VIEW optioned USING postgresql OPTIONS (primary_key 'event_id') AS SELECT event_id FROM fine;
