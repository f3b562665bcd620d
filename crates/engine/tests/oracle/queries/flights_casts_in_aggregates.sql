-- Aggregates that differ in a cast alone.
-- @doubling changes the result
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'begins ASC', 'output_mode' = 'update')
AS SELECT origin, window.start AS begins, sum(distance) AS whole, sum(CAST(distance AS DOUBLE)) AS real, sum(CAST(distance AS DECIMAL(12, 2))) AS exact,
  count(DISTINCT flight) AS n, count(DISTINCT CAST(flight AS STRING)) AS texts, max(flight) AS most, max(CAST(flight AS STRING)) AS last FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS
GROUP BY origin, window(ts, '6 hours');
