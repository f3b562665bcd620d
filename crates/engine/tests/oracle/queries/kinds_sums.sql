-- Sums of every type of number.
-- @doubling changes the result
-- @tolerance 1e-13: the mean of decimals is cut off at its last digit, where Spark rounds it
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (begins) TBLPROPERTIES ('output_mode' = 'update')
AS SELECT window.start AS begins, sum(tiny) AS tiny, sum(small) AS small, sum(whole) AS whole, sum(price) AS price, avg(price) AS mean, avg(tiny) AS tinies, count(exact) AS exacts, sum(single) AS single
FROM STREAM kinds WATERMARK at DELAY OF INTERVAL 1 HOUR GROUP BY window(at, '8 minutes');
