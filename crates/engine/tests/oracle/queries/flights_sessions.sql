-- Planes' days: departures that follow one another within six hours.
-- @doubling changes the result
-- @closed by a later event
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (tailnum) TBLPROPERTIES ('clustering_key' = 'begins ASC')
AS SELECT coalesce(tailnum, 'unknown') AS tailnum, session_window.start AS begins, session_window.end AS ends, count(*) AS legs, sum(distance) AS distance, mode(origin, true) AS home
FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY coalesce(tailnum, 'unknown'), session_window(ts, '6 hours');
