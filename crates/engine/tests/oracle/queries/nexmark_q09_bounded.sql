-- Auctions with the bids until they expire: of another time than that of the watermark, so a bound is beside it.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (id) TBLPROPERTIES ('clustering_key' = 'bid_time, bidder, price')
AS SELECT a.id, a.item_name, a.seller, a.category, b.bidder, b.price, b.date_time AS bid_time
FROM STREAM auction WATERMARK date_time DELAY OF INTERVAL 1 MINUTE a JOIN STREAM bid WATERMARK date_time DELAY OF INTERVAL 1 MINUTE b
  ON a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires AND b.date_time <= a.date_time + INTERVAL 1 HOUR;
