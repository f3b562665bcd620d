CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, legs ARRAY<STRING>, fares MAP<STRING, DOUBLE>)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE TABLE keyed (event_id BIGINT NOT NULL, legs ARRAY<STRING>)
USING kafka OPTIONS (subscribe 'keyed', value.format 'json', key.columns 'event_id');
CREATE STREAMING TABLE a USING cassandra PARTITIONED BY (event_id)
AS SELECT event_id FROM STREAM flights WHERE explode(legs) = 'x';
CREATE STREAMING TABLE b USING cassandra PARTITIONED BY (event_id)
AS SELECT event_id, explode(legs) AS leg, explode(legs) AS other FROM STREAM flights;
CREATE STREAMING TABLE c USING cassandra PARTITIONED BY (event_id)
AS SELECT event_id, posexplode(legs) AS leg FROM STREAM flights;
CREATE STREAMING TABLE d USING cassandra PARTITIONED BY (event_id)
AS SELECT event_id, leg FROM STREAM keyed LATERAL VIEW explode(legs) l AS leg;
CREATE STREAMING TABLE e USING cassandra PARTITIONED BY (id)
AS SELECT id, hour FROM (SELECT collect_set(event_id) AS ids, window.start AS hour FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 1 HOUR
  GROUP BY window(ts, '1 hour')) AS h LATERAL VIEW explode(ids) l AS id;
CREATE STREAMING TABLE f USING cassandra PARTITIONED BY (event_id)
AS SELECT event_id, x FROM STREAM flights LATERAL VIEW upper('x') l AS x;
