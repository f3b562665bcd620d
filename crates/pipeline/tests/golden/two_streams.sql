CREATE TABLE flights (event_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, carrier STRING NOT NULL, origin STRING NOT NULL, delay INT)
USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE TABLE landings (event_id BIGINT NOT NULL, at TIMESTAMP NOT NULL, seen TIMESTAMP, airport STRING, gate INT)
USING kafka OPTIONS (subscribe 'landings', value.format 'json');
-- No bound in time; one that says nothing of how much later; one that a month, whose length differs, does not give; one of another column.
CREATE STREAMING TABLE a USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id')
AS SELECT f.origin, f.event_id, l.gate FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 1 HOUR f JOIN STREAM landings WATERMARK at DELAY OF INTERVAL 1 HOUR l
   ON f.event_id = l.event_id;
CREATE STREAMING TABLE b USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id')
AS SELECT f.origin, f.event_id, l.gate FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 1 HOUR f JOIN STREAM landings WATERMARK at DELAY OF INTERVAL 1 HOUR l
   ON f.event_id = l.event_id AND l.at >= f.ts;
CREATE STREAMING TABLE c USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id')
AS SELECT f.origin, f.event_id, l.gate FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 1 HOUR f JOIN STREAM landings WATERMARK at DELAY OF INTERVAL 1 HOUR l
   ON f.event_id = l.event_id AND l.at <= f.ts + INTERVAL 12 HOURS AND l.at > f.ts - INTERVAL 1 MONTH;
CREATE STREAMING TABLE d USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id')
AS SELECT f.origin, f.event_id, l.gate FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 1 HOUR f JOIN STREAM landings WATERMARK at DELAY OF INTERVAL 1 HOUR l
   ON f.event_id = l.event_id AND l.seen BETWEEN f.ts AND f.ts + INTERVAL 12 HOURS;
CREATE STREAMING TABLE e USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id')
AS SELECT f.origin, f.event_id, l.gate FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 1 HOUR f JOIN STREAM landings WATERMARK at DELAY OF INTERVAL 1 HOUR l
   ON f.event_id = l.event_id AND l.at > f.ts AND l.at < f.ts;
-- No equality; no watermark on one side; watermarks of one table that differ; update mode.
CREATE STREAMING TABLE g USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id')
AS SELECT f.origin, f.event_id, l.gate FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 1 HOUR f JOIN STREAM landings WATERMARK at DELAY OF INTERVAL 1 HOUR l
   ON f.event_id < l.event_id AND l.at BETWEEN f.ts AND f.ts + INTERVAL 1 HOUR;
CREATE STREAMING TABLE h USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id')
AS SELECT f.origin, f.event_id, l.gate FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 1 HOUR f JOIN STREAM landings l
   ON f.event_id = l.event_id AND l.at BETWEEN f.ts AND f.ts + INTERVAL 1 HOUR;
CREATE STREAMING TABLE i USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id')
AS SELECT f.origin, f.event_id, l.delay FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 1 HOUR f JOIN STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS l
   ON f.event_id = l.event_id AND l.ts BETWEEN f.ts AND f.ts + INTERVAL 1 HOUR;
CREATE STREAMING TABLE j USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id', 'output_mode' = 'update')
AS SELECT f.origin, f.event_id, l.gate FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 1 HOUR f JOIN STREAM landings WATERMARK at DELAY OF INTERVAL 1 HOUR l
   ON f.event_id = l.event_id AND l.at BETWEEN f.ts AND f.ts + INTERVAL 1 HOUR;
-- A key that an outer join leaves null; windows of a time that it may lack, sessions too; a join above an aggregate; an anti join; three streams; a union.
CREATE STREAMING TABLE k USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'gate')
AS SELECT f.origin, l.gate FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 1 HOUR f LEFT JOIN STREAM landings WATERMARK at DELAY OF INTERVAL 1 HOUR l
   ON f.event_id = l.event_id AND l.at BETWEEN f.ts AND f.ts + INTERVAL 1 HOUR;
CREATE STREAMING TABLE l USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour')
AS SELECT f.origin, window.start AS hour, count(*) AS n FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 1 HOUR f LEFT JOIN STREAM landings WATERMARK at DELAY OF INTERVAL 1 HOUR l
   ON f.event_id = l.event_id AND l.at BETWEEN f.ts AND f.ts + INTERVAL 1 HOUR GROUP BY f.origin, window(l.at, '1 hour');
CREATE STREAMING TABLE m USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'start')
AS SELECT f.origin, session_window.start AS start, count(*) AS n FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 1 HOUR f LEFT JOIN STREAM landings WATERMARK at DELAY OF INTERVAL 1 HOUR l
   ON f.event_id = l.event_id AND l.at BETWEEN f.ts AND f.ts + INTERVAL 1 HOUR GROUP BY f.origin, session_window(l.at, '1 hour');
CREATE STREAMING TABLE n USING cassandra PARTITIONED BY (origin)
AS SELECT f.origin, f.n FROM (SELECT origin, window_time(window) AS t, count(*) AS n FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 1 HOUR GROUP BY origin, window(ts, '1 hour')) f
   JOIN STREAM landings WATERMARK at DELAY OF INTERVAL 1 HOUR l ON f.origin = l.airport AND l.at BETWEEN f.t AND f.t + INTERVAL 1 HOUR;
CREATE STREAMING TABLE o USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id')
AS SELECT f.origin, f.event_id FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 1 HOUR f LEFT ANTI JOIN STREAM landings WATERMARK at DELAY OF INTERVAL 1 HOUR l
   ON f.event_id = l.event_id AND l.at BETWEEN f.ts AND f.ts + INTERVAL 1 HOUR;
CREATE STREAMING TABLE p USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id')
AS SELECT f.origin, f.event_id FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 1 HOUR f JOIN STREAM landings WATERMARK at DELAY OF INTERVAL 1 HOUR l
   ON f.event_id = l.event_id AND l.at BETWEEN f.ts AND f.ts + INTERVAL 1 HOUR JOIN STREAM landings WATERMARK at DELAY OF INTERVAL 1 HOUR k ON k.event_id = l.event_id;
CREATE STREAMING TABLE q USING cassandra PARTITIONED BY (event_id)
AS SELECT event_id FROM STREAM flights UNION ALL SELECT event_id FROM STREAM landings;
