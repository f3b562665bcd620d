-- The flight with the greatest distance.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'begins ASC', 'output_mode' = 'update')
AS SELECT origin, window.start AS begins, max_by(event_id, distance * 1000 + event_id) AS farthest, min_by(dest, distance * 1000 + event_id) AS nearest FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS
GROUP BY origin, window(ts, '6 hours');
