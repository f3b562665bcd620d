-- The last bid of each bidder on each auction, as a batch job.
CREATE STREAMING TABLE bids USING cassandra PARTITIONED BY (auction) TBLPROPERTIES ('clustering_key' = 'date_time ASC, bidder ASC')
AS SELECT auction, date_time, bidder, price FROM STREAM bid;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'bidder, auction')
AS SELECT bidder, auction, price, date_time FROM
  (SELECT *, row_number() OVER (PARTITION BY bidder, auction ORDER BY date_time DESC) AS place FROM bids)
WHERE place = 1 AND bidder < 1006;
