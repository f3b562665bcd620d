SELECT origin, window_start, COUNT(*) AS flights, AVG(CAST(dep_delay AS DOUBLE)) AS avg_delay, MAX(dep_delay) AS max_delay
FROM TABLE(HOP(TABLE flights, DESCRIPTOR(ts), INTERVAL '15' MINUTE, INTERVAL '1' HOUR))
GROUP BY origin, window_start, window_end
