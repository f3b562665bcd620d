-- One group a day.
-- @doubling changes the result
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (day) TBLPROPERTIES ('output_mode' = 'update')
AS SELECT window.start AS day, count(*) AS flights, count(dep_delay) AS departed, sum(distance) AS miles, min(ts) AS first, max(ts) AS last
FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY window(ts, '1 day');
