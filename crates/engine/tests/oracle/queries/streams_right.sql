-- @closed by a later event
-- Bids with the person who made them, where that person is new.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (auction) TBLPROPERTIES ('clustering_key' = 'bidder, date_time')
AS SELECT b.auction, b.bidder, b.date_time, p.name, p.state
FROM STREAM person WATERMARK date_time DELAY OF INTERVAL 1 MINUTE p RIGHT JOIN STREAM bid WATERMARK date_time DELAY OF INTERVAL 1 MINUTE b
  ON p.id = b.bidder AND p.date_time BETWEEN b.date_time - INTERVAL 10 MINUTES AND b.date_time;
