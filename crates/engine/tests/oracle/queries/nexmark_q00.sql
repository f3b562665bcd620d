-- Every bid as it is.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (auction) TBLPROPERTIES ('clustering_key' = 'date_time ASC, bidder ASC')
AS SELECT auction, bidder, price, date_time FROM STREAM bid WHERE bidder < 1004;
