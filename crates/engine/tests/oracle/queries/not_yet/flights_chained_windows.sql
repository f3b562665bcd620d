-- Days of hours.
-- @doubling changes the result
-- @closed by a later event
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (day)
AS SELECT window.start AS day, sum(flights) AS flights, max(flights) AS busiest FROM
  (SELECT window AS hour, count(*) AS flights FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY window(ts, '1 hour'))
GROUP BY window(hour, '1 day');
