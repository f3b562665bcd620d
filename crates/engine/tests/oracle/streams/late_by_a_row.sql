-- A row that is late by less than a micro-batch.
-- @batches of 40
-- @differs: the watermark moves with every row; Spark's with every micro-batch, and what is late follows from the batch before the last one
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (sensor) TBLPROPERTIES ('clustering_key' = 'begins ASC')
AS SELECT sensor, window.start AS begins, count(*) AS n, count_if(how = 'a little late') AS late
FROM STREAM measures WATERMARK ts DELAY OF INTERVAL 10 MINUTES GROUP BY sensor, window(ts, '10 minutes');
