-- A join with a further condition.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id ASC')
AS SELECT f.origin, f.event_id, d.name, d.runways FROM STREAM flights f LEFT JOIN airports d ON f.dest = d.faa AND d.runways > 4 AND f.distance < 1500 WHERE f.event_id % 3 = 0;
