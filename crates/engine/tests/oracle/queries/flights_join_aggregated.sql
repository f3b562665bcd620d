-- A join with a query over a reference table.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id ASC')
AS SELECT f.origin, f.event_id, s.airports FROM STREAM flights f
JOIN airports a ON f.dest = a.faa JOIN (SELECT state, count(*) AS airports FROM airports GROUP BY state) s ON a.state = s.state WHERE f.event_id % 6 = 0;
