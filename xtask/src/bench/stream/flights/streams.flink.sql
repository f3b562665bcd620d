SELECT a.event_id, a.tailnum, CAST(a.ts AS TIMESTAMP(3)) AS ts, b.event_id AS next_event_id, CAST(b.ts AS TIMESTAMP(3)) AS next_ts, b.dest
FROM flights a JOIN flights b ON a.tailnum = b.tailnum AND b.ts > a.ts AND b.ts <= a.ts + INTERVAL '12' HOUR
