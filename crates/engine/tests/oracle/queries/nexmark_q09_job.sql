-- The winning bid of each auction, as a batch job.
CREATE STREAMING TABLE bids USING cassandra PARTITIONED BY (auction) TBLPROPERTIES ('clustering_key' = 'date_time ASC, bidder ASC')
AS SELECT auction, date_time, bidder, price FROM STREAM bid;

CREATE STREAMING TABLE sold USING cassandra PARTITIONED BY (id) AS SELECT id, category, seller, date_time, expires, reserve FROM STREAM auction;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'id')
AS SELECT id, seller, bidder, price, date_time FROM
  (SELECT a.id, a.seller, b.bidder, b.price, b.date_time, row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.date_time ASC) AS place
   FROM sold a JOIN bids b ON a.id = b.auction WHERE b.date_time BETWEEN a.date_time AND a.expires)
WHERE place = 1;
