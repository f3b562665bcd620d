-- The busiest hour of each day, from windows of windows, with a percentile on both levels.
-- @doubling changes the result
-- @closed by a later event
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'day ASC')
AS SELECT origin, window(window_time(hour), '1 day').start AS day, max(n) AS most, percentile_disc(0.5) WITHIN GROUP (ORDER BY middle) AS typical
FROM (SELECT origin, window AS hour, count(*) AS n, median(distance) AS middle FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY origin, window(ts, '1 hour'))
GROUP BY origin, window(window_time(hour), '1 day');
