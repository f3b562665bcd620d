-- Aggregates of every type.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (begins) TBLPROPERTIES ('output_mode' = 'update')
AS SELECT window.start AS begins, min(tiny) AS tiny, max(small) AS small, min(whole) AS whole, max(large) AS large, min(single) AS single, max(real) AS real, min(price) AS price, max(exact) AS exact, min(word) AS word, max(day) AS day, min(moment) AS moment, max(local) AS local, bool_or(flag) AS flag, max(bytes) AS bytes
FROM STREAM kinds WATERMARK at DELAY OF INTERVAL 1 HOUR GROUP BY window(at, '10 minutes');
