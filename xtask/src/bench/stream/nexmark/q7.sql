SELECT window.start AS begins, max(price) AS price, max_by(auction, price) AS auction, max_by(bidder, price) AS bidder
FROM STREAM bid WATERMARK date_time DELAY OF INTERVAL 4 SECONDS
GROUP BY window(date_time, '10 seconds')
