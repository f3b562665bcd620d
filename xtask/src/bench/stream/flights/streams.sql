SELECT a.event_id, a.tailnum, a.ts, b.event_id AS next_event_id, b.ts AS next_ts, b.dest
FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS AS a JOIN STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS AS b
  ON a.tailnum = b.tailnum AND b.ts > a.ts AND b.ts <= a.ts + INTERVAL 12 HOURS
