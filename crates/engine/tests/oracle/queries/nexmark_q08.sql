-- People who sell within a minute of their registration.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (auction)
AS SELECT p.id, p.name, a.id AS auction FROM STREAM person WATERMARK date_time DELAY OF INTERVAL 1 MINUTE AS p
JOIN STREAM auction WATERMARK date_time DELAY OF INTERVAL 1 MINUTE AS a
  ON p.id = a.seller AND a.date_time BETWEEN p.date_time AND p.date_time + INTERVAL 1 MINUTE;
