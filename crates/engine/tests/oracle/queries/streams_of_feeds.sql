-- A join of a topic with the change feed of a table that a flow writes.
CREATE STREAMING TABLE late_flights USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id ASC')
AS SELECT event_id, ts, origin, dest, tailnum, dep_delay FROM STREAM flights WHERE dep_delay > 30;
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'late, event_id')
AS SELECT l.origin, l.event_id AS late, f.event_id, f.dest, l.dep_delay
FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS f JOIN STREAM late_flights WATERMARK ts DELAY OF INTERVAL 2 HOURS l
  ON f.origin = l.origin AND f.ts BETWEEN l.ts AND l.ts + INTERVAL 30 MINUTES AND f.event_id <> l.event_id;
