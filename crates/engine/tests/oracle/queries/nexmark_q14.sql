-- Bids in a range, with the part of the day and a count of letters.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (auction) TBLPROPERTIES ('clustering_key' = 'date_time ASC, bidder ASC')
AS SELECT auction, bidder, 0.908 * price AS price, date_time,
  CASE WHEN hour(date_time) >= 8 AND hour(date_time) <= 18 THEN 'day'
       WHEN hour(date_time) <= 6 OR hour(date_time) >= 20 THEN 'night' ELSE 'other' END AS kind,
  extra, length(extra) - length(replace(extra, 'c', '')) AS letters
FROM STREAM bid WHERE 0.908 * price > 10000 AND 0.908 * price < 20000;
