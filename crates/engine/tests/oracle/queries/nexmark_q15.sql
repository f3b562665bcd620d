-- How many bids of each day fall into bands of price.
-- @doubling changes the result
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (begins) TBLPROPERTIES ('output_mode' = 'update')
AS SELECT date_format(window.start, 'yyyy-MM-dd') AS day, window.start AS begins, count(*) AS total,
  count(*) FILTER (WHERE price < 10000) AS low, count(*) FILTER (WHERE price >= 10000 AND price < 20000) AS middle,
  count(*) FILTER (WHERE price >= 20000) AS high
FROM STREAM bid WATERMARK date_time DELAY OF INTERVAL 30 SECONDS
GROUP BY window(date_time, '1 day');
