-- @closed by a later event
-- People and auctions that they open within a minute, and those without the other.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (person) TBLPROPERTIES ('clustering_key' = 'auction')
AS SELECT coalesce(p.id, -1) AS person, coalesce(a.id, -1) AS auction, p.name, a.seller, a.initial_bid
FROM STREAM person WATERMARK date_time DELAY OF INTERVAL 1 MINUTE p FULL OUTER JOIN STREAM auction WATERMARK date_time DELAY OF INTERVAL 1 MINUTE a
  ON p.id = a.seller AND a.date_time BETWEEN p.date_time AND p.date_time + INTERVAL 1 MINUTE;
