-- The bids with the highest price of each minute, as a batch job.
CREATE STREAMING TABLE bids USING cassandra PARTITIONED BY (auction) TBLPROPERTIES ('clustering_key' = 'date_time ASC, bidder ASC')
AS SELECT auction, date_time, bidder, price, channel FROM STREAM bid;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'auction, date_time, bidder')
AS SELECT b.auction, b.date_time, b.bidder, b.price FROM bids b
JOIN (SELECT window.start AS begins, window.end AS ends, max(price) AS most FROM bids GROUP BY window(date_time, '1 minute')) m
  ON b.price = m.most AND b.date_time >= m.begins AND b.date_time < m.ends;
