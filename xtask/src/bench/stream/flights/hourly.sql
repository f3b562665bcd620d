SELECT origin, window.start AS hour, count(*) AS flights, avg(dep_delay) AS avg_delay, max(dep_delay) AS max_delay
FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS
GROUP BY origin, window(ts, '1 hour')
