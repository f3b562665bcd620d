-- Carriers of each hour, as a text.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'hour ASC', 'output_mode' = 'update')
AS SELECT origin, window.start AS hour, array_join(array_sort(collect_set(carrier)), ',') AS carriers FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS
GROUP BY origin, window(ts, '1 hour');
