-- @closed by a later event
-- Null keys match nothing, and in an outer join their rows come out alone.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id, next')
AS SELECT f.origin, f.event_id, f.dep_delay, coalesce(g.event_id, -1) AS next, g.dest
FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS f LEFT JOIN STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS g
  ON f.dep_delay = g.arr_delay AND g.ts > f.ts AND g.ts <= f.ts + INTERVAL 3 HOURS;
