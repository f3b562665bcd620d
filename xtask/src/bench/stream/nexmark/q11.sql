SELECT bidder, session_window.start AS begins, session_window.end AS ends, count(*) AS bids
FROM STREAM bid WATERMARK date_time DELAY OF INTERVAL 4 SECONDS
GROUP BY bidder, session_window(date_time, '10 seconds')
