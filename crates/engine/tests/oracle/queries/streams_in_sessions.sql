-- @doubling changes the result
-- @closed by a later event
-- Sessions over a join of streams: bids by category of their auction, as long as they follow one another.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (category) TBLPROPERTIES ('clustering_key' = 'start')
AS SELECT a.category, session_window.start AS start, session_window.end AS until, count(*) AS bids, max(b.price) AS highest, count(DISTINCT a.id) AS auctions
FROM STREAM bid WATERMARK date_time DELAY OF INTERVAL 1 MINUTE b JOIN STREAM auction WATERMARK date_time DELAY OF INTERVAL 1 MINUTE a
  ON b.auction = a.id AND b.date_time BETWEEN a.date_time - INTERVAL 1 MINUTE AND a.date_time + INTERVAL 5 MINUTES
GROUP BY a.category, session_window(b.date_time, '20 seconds');
