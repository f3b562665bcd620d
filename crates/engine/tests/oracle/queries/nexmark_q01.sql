-- Bids in another currency.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (auction) TBLPROPERTIES ('clustering_key' = 'date_time ASC, bidder ASC')
AS SELECT auction, bidder, 0.908 * price AS price, date_time FROM STREAM bid WHERE auction % 5 = 0;
