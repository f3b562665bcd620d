-- Both sides are sub-queries, and what they give has other names.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (item) TBLPROPERTIES ('clustering_key' = 'seller, auction')
AS SELECT o.item, s.who AS seller, o.auction, s.city
FROM (SELECT id AS auction, seller, concat(item_name, '!') AS item, date_time AS opened FROM STREAM auction WATERMARK date_time DELAY OF INTERVAL 1 MINUTE WHERE initial_bid > 100) o
JOIN (SELECT id AS who, city, date_time AS registered FROM STREAM person WATERMARK date_time DELAY OF INTERVAL 1 MINUTE) s
  ON o.seller = s.who AND o.opened BETWEEN s.registered - INTERVAL 1 MINUTE AND s.registered + INTERVAL 15 MINUTES;
