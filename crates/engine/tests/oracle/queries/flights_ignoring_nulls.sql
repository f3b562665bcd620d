-- First and last of values that are not null, by the time of the event.
-- @doubling changes the result
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'begins ASC', 'output_mode' = 'update')
AS SELECT origin, window.start AS begins, max_by(dep_delay, event_id) AS last, min_by(tailnum, event_id) AS first, max_by(tailnum, event_id) FILTER (WHERE tailnum IS NOT NULL) AS plane,
  count(dep_delay) AS known, any_value(origin, true) AS same FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS
GROUP BY origin, window(ts, '3 hours');
