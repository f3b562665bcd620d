-- The three highest bids of each auction, as a batch job.
CREATE STREAMING TABLE bids USING cassandra PARTITIONED BY (auction) TBLPROPERTIES ('clustering_key' = 'date_time ASC, bidder ASC')
AS SELECT auction, date_time, bidder, price FROM STREAM bid;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'auction, place')
AS SELECT auction, place, bidder, price FROM
  (SELECT *, rank() OVER (PARTITION BY auction ORDER BY price DESC, date_time ASC) AS place FROM bids)
WHERE place <= 3 AND auction < 1030;
