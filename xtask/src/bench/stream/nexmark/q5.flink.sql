SELECT window_start, auction, bids FROM
  (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY bids DESC) AS place FROM
    (SELECT auction, window_start, window_end, COUNT(*) AS bids
     FROM TABLE(HOP(TABLE bid, DESCRIPTOR(date_time), INTERVAL '2' SECOND, INTERVAL '10' SECOND)) GROUP BY auction, window_start, window_end))
WHERE place <= 1
