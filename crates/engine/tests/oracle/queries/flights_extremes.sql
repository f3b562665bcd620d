-- Aggregates that a doubled event does not change.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (carrier) TBLPROPERTIES ('clustering_key' = 'begins ASC', 'output_mode' = 'update')
AS SELECT carrier, window.start AS begins, min(dep_delay) AS least, max(arr_delay) AS most, max(dest) AS last, min(tailnum) AS first, bool_or(dep_delay > 100) AS any_late, bool_and(distance > 300) AS all_far,
  bit_or(flight) AS bits
FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS GROUP BY carrier, window(ts, '12 hours');
