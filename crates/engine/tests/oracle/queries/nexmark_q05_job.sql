-- The auctions with the most bids in each ten seconds, as a batch job.
-- @doubling changes the result
CREATE STREAMING TABLE counts USING cassandra PARTITIONED BY (begins) TBLPROPERTIES ('clustering_key' = 'auction ASC', 'output_mode' = 'update')
AS SELECT window.start AS begins, auction, count(*) AS bids FROM STREAM bid WATERMARK date_time DELAY OF INTERVAL 30 SECONDS
GROUP BY auction, window(date_time, '10 seconds');

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'begins, auction')
AS SELECT begins, auction, bids FROM
  (SELECT begins, auction, bids, max(bids) OVER (PARTITION BY begins) AS most FROM counts)
WHERE bids = most AND bids > 1;
