-- Bids as they would be written to files by day and minute.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (auction) TBLPROPERTIES ('clustering_key' = 'date_time ASC, bidder ASC')
AS SELECT auction, bidder, price, date_time, date_format(date_time, 'yyyy-MM-dd') AS day, date_format(date_time, 'HH:mm') AS minute
FROM STREAM bid WHERE bidder % 4 = 1;
