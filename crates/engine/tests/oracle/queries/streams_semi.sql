-- Auctions that have a bid in their first minute.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (id)
AS SELECT a.id, a.item_name, a.expires FROM STREAM auction WATERMARK date_time DELAY OF INTERVAL 1 MINUTE a LEFT SEMI JOIN STREAM bid WATERMARK date_time DELAY OF INTERVAL 1 MINUTE b
  ON a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.date_time + INTERVAL 1 MINUTE;
