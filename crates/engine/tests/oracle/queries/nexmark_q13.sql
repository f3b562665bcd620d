-- Bids beside a table that does not change.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (auction) TBLPROPERTIES ('clustering_key' = 'date_time ASC, bidder ASC')
AS SELECT b.auction, b.bidder, b.price, b.date_time, c.name
FROM STREAM bid b JOIN categories c ON b.auction % 8 + 10 = c.id;
