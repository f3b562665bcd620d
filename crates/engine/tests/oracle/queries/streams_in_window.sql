-- @doubling changes the result
-- @closed by a later event
-- Windows over a join of streams: bids by category of their auction, in windows of the bids' time.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (category) TBLPROPERTIES ('clustering_key' = 'start')
AS SELECT a.category, window.start AS start, count(*) AS bids, max(b.price) AS highest, avg(b.price) AS average, count(DISTINCT a.id) AS auctions
FROM STREAM bid WATERMARK date_time DELAY OF INTERVAL 1 MINUTE b JOIN STREAM auction WATERMARK date_time DELAY OF INTERVAL 1 MINUTE a
  ON b.auction = a.id AND b.date_time BETWEEN a.date_time - INTERVAL 1 MINUTE AND a.date_time + INTERVAL 5 MINUTES
GROUP BY a.category, window(b.date_time, '2 minutes');
