-- Bids on certain auctions.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (auction) TBLPROPERTIES ('clustering_key' = 'date_time ASC, bidder ASC')
AS SELECT auction, price, date_time, bidder FROM STREAM bid WHERE auction = 1007 OR auction = 1020 OR auction IN (1031, 1055, 1087);
