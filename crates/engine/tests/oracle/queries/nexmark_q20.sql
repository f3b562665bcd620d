-- Bids with their auction: a join of two streams in time.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (auction) TBLPROPERTIES ('clustering_key' = 'date_time ASC, bidder ASC')
AS SELECT b.auction, b.bidder, b.price, b.date_time, a.seller FROM STREAM bid WATERMARK date_time DELAY OF INTERVAL 1 MINUTE AS b
JOIN STREAM auction WATERMARK date_time DELAY OF INTERVAL 1 MINUTE AS a
  ON b.auction = a.id AND b.date_time BETWEEN a.date_time AND a.date_time + INTERVAL 5 MINUTES;
