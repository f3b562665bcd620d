-- A number for each channel.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (auction) TBLPROPERTIES ('clustering_key' = 'date_time ASC, bidder ASC')
AS SELECT auction, bidder, date_time, channel,
  CASE WHEN lower(channel) = 'apple' THEN '0' WHEN lower(channel) = 'google' THEN '1' WHEN lower(channel) = 'facebook' THEN '2'
       WHEN lower(channel) = 'baidu' THEN '3' ELSE split_part(url, 'channel_id=', 2) END AS channel_id
FROM STREAM bid WHERE contains(url, 'channel_id=') AND price BETWEEN 5000 AND 9000;
