-- What a delay is called.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id ASC')
AS SELECT origin, event_id, CASE WHEN dep_delay IS NULL THEN 'cancelled' WHEN dep_delay <= 0 THEN 'on time' WHEN dep_delay < 60 THEN 'late' ELSE 'very late' END AS kind,
  if(arr_delay > dep_delay, 'lost', 'won') AS time, greatest(dep_delay, arr_delay, 0) AS worst, nullif(dest, 'ZZZ') AS dest FROM STREAM flights WHERE event_id % 4 = 2;
