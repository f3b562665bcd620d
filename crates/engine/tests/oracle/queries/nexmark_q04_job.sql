-- The mean price of the winning bids of each category, as a batch job.
CREATE STREAMING TABLE bids USING cassandra PARTITIONED BY (auction) TBLPROPERTIES ('clustering_key' = 'date_time ASC, bidder ASC')
AS SELECT auction, date_time, bidder, price FROM STREAM bid;

CREATE STREAMING TABLE sold USING cassandra PARTITIONED BY (id) AS SELECT id, category, seller, date_time, expires, reserve FROM STREAM auction;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'category')
AS SELECT category, avg(final) AS mean, count(*) AS auctions FROM
  (SELECT max(b.price) AS final, a.category, a.id FROM sold a JOIN bids b ON a.id = b.auction
   WHERE b.date_time BETWEEN a.date_time AND a.expires GROUP BY a.id, a.category)
GROUP BY category;
