-- Figures of each auction and day.
-- @doubling changes the result
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (auction) TBLPROPERTIES ('clustering_key' = 'begins ASC', 'output_mode' = 'update')
AS SELECT auction, window.start AS begins, count(*) AS total, count(*) FILTER (WHERE price < 10000) AS low,
  min(price) AS least, max(price) AS most, avg(price) AS mean, sum(price) AS sum
FROM STREAM bid WATERMARK date_time DELAY OF INTERVAL 30 SECONDS
GROUP BY auction, window(date_time, '1 day');
