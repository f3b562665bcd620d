SELECT p.id, p.name, a.id AS auction, p.date_time
FROM STREAM person WATERMARK date_time DELAY OF INTERVAL 4 SECONDS AS p JOIN STREAM auction WATERMARK date_time DELAY OF INTERVAL 4 SECONDS AS a
  ON p.id = a.seller AND unix_seconds(p.date_time) DIV 10 = unix_seconds(a.date_time) DIV 10
 AND a.date_time BETWEEN p.date_time - INTERVAL 10 SECONDS AND p.date_time + INTERVAL 10 SECONDS
