-- A join of streams, joined with reference data.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (auction) TBLPROPERTIES ('clustering_key' = 'date_time, bidder')
AS SELECT b.auction, b.date_time, b.bidder, c.name AS category, b.price * c.fee AS fee
FROM STREAM bid WATERMARK date_time DELAY OF INTERVAL 1 MINUTE b JOIN STREAM auction WATERMARK date_time DELAY OF INTERVAL 1 MINUTE a
  ON b.auction = a.id AND b.date_time BETWEEN a.date_time AND a.date_time + INTERVAL 4 MINUTES
LEFT JOIN categories c ON a.category = c.id;
