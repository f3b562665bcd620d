-- The mean of the last three prices of each seller, as a batch job.
-- @tolerance 1e-9: sums of floating-point numbers depend on the order of the rows
CREATE STREAMING TABLE bids USING cassandra PARTITIONED BY (auction) TBLPROPERTIES ('clustering_key' = 'date_time ASC, bidder ASC')
AS SELECT auction, date_time, bidder, price, channel FROM STREAM bid;

CREATE STREAMING TABLE sold USING cassandra PARTITIONED BY (id) AS SELECT id, seller, date_time, expires FROM STREAM auction;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'id')
AS SELECT id, seller, avg(final) OVER (PARTITION BY seller ORDER BY expires, id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS mean FROM
  (SELECT a.id, a.seller, a.expires, max(b.price) AS final FROM sold a JOIN bids b ON a.id = b.auction WHERE b.date_time BETWEEN a.date_time AND a.expires
   GROUP BY a.id, a.seller, a.expires);
