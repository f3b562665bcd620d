SELECT category, window.start AS begins, avg(final) AS mean FROM
  (SELECT a.id, a.category, window(a.date_time, '10 seconds') AS window, max(b.price) AS final
   FROM STREAM auction WATERMARK date_time DELAY OF INTERVAL 4 SECONDS AS a JOIN STREAM bid WATERMARK date_time DELAY OF INTERVAL 4 SECONDS AS b
     ON a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires AND b.date_time <= a.date_time + INTERVAL 10 SECONDS
   GROUP BY a.id, a.category, window(a.date_time, '10 seconds'))
GROUP BY category, window
