-- Bids with the higher ones of the same auction that follow within ten seconds: one topic, read once, on both sides.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (auction) TBLPROPERTIES ('clustering_key' = 'earlier, later, price')
AS SELECT x.auction, x.date_time AS earlier, y.date_time AS later, y.price, y.price - x.price AS more
FROM STREAM bid WATERMARK date_time DELAY OF INTERVAL 1 MINUTE x JOIN STREAM bid WATERMARK date_time DELAY OF INTERVAL 1 MINUTE y
  ON x.auction = y.auction AND y.date_time > x.date_time AND y.date_time < x.date_time + INTERVAL 10 SECONDS WHERE y.price > x.price;
