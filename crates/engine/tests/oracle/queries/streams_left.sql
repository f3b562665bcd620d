-- @closed by a later event
-- Auctions with their bids of the first two minutes, or with none.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (id) TBLPROPERTIES ('clustering_key' = 'bidder, at')
AS SELECT a.id, a.category, coalesce(b.bidder, -1) AS bidder, coalesce(b.date_time, a.date_time) AS at, b.price, b.channel
FROM STREAM auction WATERMARK date_time DELAY OF INTERVAL 1 MINUTE a LEFT JOIN STREAM bid WATERMARK date_time DELAY OF INTERVAL 1 MINUTE b
  ON a.id = b.auction AND b.date_time >= a.date_time AND b.date_time <= a.date_time + INTERVAL 2 MINUTES WHERE a.id < 1119;
