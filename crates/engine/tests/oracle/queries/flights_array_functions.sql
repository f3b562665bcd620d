-- Functions of arrays.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id ASC')
AS SELECT origin, event_id, array_join(array_sort(parts), '|', 'none') AS sorted, array_join(sort_array(parts, false), '|', 'none') AS falling, array_max(parts) AS most, array_min(parts) AS least,
  array_position(parts, dest) AS place, array_join(array_remove(parts, origin), '|') AS others, array_join(array_union(parts, array('JFK', 'BOS')), '|') AS united,
  array_join(array_intersect(parts, array('JFK', 'LGA')), '|') AS common, array_join(array_except(parts, array('JFK', 'LGA')), '|') AS rest
FROM (SELECT origin, event_id, dest, array(origin, dest, carrier, tailnum, origin) AS parts FROM STREAM flights) WHERE event_id % 3 = 0;
