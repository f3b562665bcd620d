-- Functions of texts.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id ASC')
AS SELECT origin, event_id, concat(carrier, ' ', flight) AS name, lower(dest) AS dest, lpad(CAST(flight AS STRING), 4, '0') AS padded, substring(tailnum, 2, 3) AS digits,
  upper(reverse(origin)) AS reversed, coalesce(tailnum, 'unknown') AS tail, length(tailnum) AS length FROM STREAM flights WHERE event_id % 5 = 0;
