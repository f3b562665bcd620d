SELECT window.start AS begins, max_by(auction, bids) AS auction, max(bids) AS bids FROM
  (SELECT auction, window, count(*) AS bids FROM STREAM bid WATERMARK date_time DELAY OF INTERVAL 4 SECONDS
   GROUP BY auction, window(date_time, '10 seconds', '2 seconds'))
GROUP BY window
