SELECT p.name, p.city, p.state, a.id
FROM STREAM auction WATERMARK date_time DELAY OF INTERVAL 4 SECONDS AS a JOIN STREAM person WATERMARK date_time DELAY OF INTERVAL 4 SECONDS AS p
  ON a.seller = p.id AND a.date_time BETWEEN p.date_time - INTERVAL 1 MINUTE AND p.date_time + INTERVAL 1 MINUTE
WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA')
