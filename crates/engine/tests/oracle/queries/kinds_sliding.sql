-- Sliding windows whose slide does not divide their size.
-- @doubling changes the result
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (begins) TBLPROPERTIES ('output_mode' = 'update')
AS SELECT window.start AS begins, count(*) AS n, max(whole) AS whole FROM STREAM kinds WATERMARK at DELAY OF INTERVAL 1 HOUR
GROUP BY window(at, '10 minutes', '4 minutes');
