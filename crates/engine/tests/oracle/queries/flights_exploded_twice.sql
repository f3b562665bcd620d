-- Pairs of two lists, from a generator below another, in days of hours.
-- @doubling changes the result
-- @closed by a later event
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (airport) TBLPROPERTIES ('clustering_key' = 'day ASC')
AS SELECT airport, window(window_time(hour), '1 day').start AS day, sum(n) AS n, max(n) AS most FROM
  (SELECT airport, half, window AS hour, count(*) AS n FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS
     LATERAL VIEW explode(array(origin, dest)) a AS airport LATERAL VIEW explode(array(1, 2)) h AS half
   WHERE half = 1 OR distance > 1000 GROUP BY airport, half, window(ts, '1 hour'))
GROUP BY airport, window(window_time(hour), '1 day');
