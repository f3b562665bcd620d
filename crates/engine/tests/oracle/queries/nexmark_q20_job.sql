-- Bids with their auction, of category 10, as a batch job.
CREATE STREAMING TABLE bids USING cassandra PARTITIONED BY (auction) TBLPROPERTIES ('clustering_key' = 'date_time ASC, bidder ASC')
AS SELECT auction, date_time, bidder, price FROM STREAM bid;

CREATE STREAMING TABLE sold USING cassandra PARTITIONED BY (id) AS SELECT id, category, seller, date_time, expires, reserve FROM STREAM auction;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'auction, date_time, bidder')
AS SELECT b.auction, b.bidder, b.price, b.date_time, a.seller, a.reserve FROM bids b JOIN sold a ON b.auction = a.id WHERE a.category = 10;
