-- @doubling changes the result
-- @closed by a later event
-- Sliding windows over a left join of streams, of the left side's time: auctions and their bids, those without a bid too.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (category) TBLPROPERTIES ('clustering_key' = 'start')
AS SELECT a.category, window.start AS start, count(*) AS rows, count(b.bidder) AS bids, sum(b.price) AS total
FROM STREAM auction WATERMARK date_time DELAY OF INTERVAL 1 MINUTE a LEFT JOIN STREAM bid WATERMARK date_time DELAY OF INTERVAL 1 MINUTE b
  ON b.auction = a.id AND b.date_time BETWEEN a.date_time AND a.date_time + INTERVAL 3 MINUTES
GROUP BY a.category, window(a.date_time, '10 minutes', '5 minutes');
