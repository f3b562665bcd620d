-- Groups by every type of key.
-- @doubling changes the result
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (word) TBLPROPERTIES ('clustering_key' = 'day ASC, flag ASC, tiny ASC, begins ASC', 'output_mode' = 'update')
AS SELECT word, day, flag, tiny, window.start AS begins, count(*) AS n FROM STREAM kinds WATERMARK at DELAY OF INTERVAL 1 HOUR
WHERE word <> '' AND day IS NOT NULL AND flag IS NOT NULL AND tiny IS NOT NULL GROUP BY word, day, flag, tiny, window(at, '1 hour');
