SELECT p.id, p.name, a.id AS auction, CAST(p.date_time AS TIMESTAMP(3)) AS date_time
FROM (SELECT * FROM TABLE(TUMBLE(TABLE person, DESCRIPTOR(date_time), INTERVAL '10' SECOND))) p
JOIN (SELECT * FROM TABLE(TUMBLE(TABLE auction, DESCRIPTOR(date_time), INTERVAL '10' SECOND))) a
  ON p.id = a.seller AND p.window_start = a.window_start AND p.window_end = a.window_end
