-- The bounds in WHERE, two keys of which one is computed, and filters on both sides.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (auction) TBLPROPERTIES ('clustering_key' = 'date_time, bidder')
AS SELECT b.auction, b.date_time, b.bidder, upper(b.channel) AS channel, a.category * 2 AS twice
FROM STREAM bid WATERMARK date_time DELAY OF INTERVAL 1 MINUTE b JOIN STREAM auction WATERMARK date_time DELAY OF INTERVAL 1 MINUTE a
  ON b.auction = a.id AND b.price % 2 = a.reserve % 2
WHERE b.channel <> 'Google' AND a.category > 10
  AND a.date_time <= b.date_time + INTERVAL 30 SECONDS AND b.date_time < a.date_time + INTERVAL 3 MINUTES;
