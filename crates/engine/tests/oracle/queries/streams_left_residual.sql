-- @closed by a later event
-- Auctions with the bids that are over their reserve: what is not an equality is part of the condition, not a filter.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (id) TBLPROPERTIES ('clustering_key' = 'bidder, at')
AS SELECT a.id, coalesce(b.bidder, -1) AS bidder, coalesce(b.date_time, a.date_time) AS at, b.price - a.reserve AS above
FROM STREAM auction WATERMARK date_time DELAY OF INTERVAL 1 MINUTE a LEFT JOIN STREAM bid WATERMARK date_time DELAY OF INTERVAL 1 MINUTE b
  ON a.id = b.auction AND b.price > a.reserve AND a.category IN (10, 11) AND b.date_time BETWEEN a.date_time - INTERVAL 1 MINUTE AND a.date_time + INTERVAL 5 MINUTES WHERE a.id < 1119;
