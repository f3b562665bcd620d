-- The channel by a regular expression.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (auction) TBLPROPERTIES ('clustering_key' = 'date_time ASC, bidder ASC')
AS SELECT auction, bidder, date_time, regexp_extract(url, '(&|^|[?])channel_id=([^&]*)', 2) AS channel_id FROM STREAM bid WHERE price > 25000;
