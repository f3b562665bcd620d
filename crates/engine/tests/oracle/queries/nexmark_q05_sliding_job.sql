-- The auctions with the most bids in each minute, every ten seconds, as a batch job.
CREATE STREAMING TABLE bids USING cassandra PARTITIONED BY (auction) TBLPROPERTIES ('clustering_key' = 'date_time ASC, bidder ASC')
AS SELECT auction, date_time, bidder, price, channel FROM STREAM bid;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'begins, auction')
AS SELECT begins, auction, bids FROM
  (SELECT window.start AS begins, auction, count(*) AS bids, max(count(*)) OVER (PARTITION BY window.start) AS most FROM bids GROUP BY auction, window(date_time, '1 minute', '10 seconds'))
WHERE bids = most AND bids > 2;
