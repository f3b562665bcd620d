-- Texts of a group, in their own order.
-- @doubling changes the result
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'begins ASC', 'output_mode' = 'update')
AS SELECT origin, window.start AS begins, listagg(carrier, ',') WITHIN GROUP (ORDER BY carrier) AS carriers, string_agg(DISTINCT dest, ' / ') WITHIN GROUP (ORDER BY dest DESC) AS dests,
  array_join(sort_array(collect_set(carrier), false), ' ') AS different, array_max(collect_list(dep_delay)) AS worst, size(array_distinct(collect_list(dest))) AS places FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS
GROUP BY origin, window(ts, '6 hours');
