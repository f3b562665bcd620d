-- The highest price of each ten seconds.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (starttime) TBLPROPERTIES ('output_mode' = 'update')
AS SELECT window.start AS starttime, window.end AS endtime, max(price) AS maxprice
FROM STREAM bid WATERMARK date_time DELAY OF INTERVAL 30 SECONDS
GROUP BY window(date_time, '10 seconds');
