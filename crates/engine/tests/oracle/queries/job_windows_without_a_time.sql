-- Rows without a time are in no window.
CREATE STREAMING TABLE moments USING cassandra PARTITIONED BY (id) AS SELECT id, moment, whole FROM STREAM kinds;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'begins')
AS SELECT window.start AS begins, count(*) AS n, sum(whole) AS total FROM moments GROUP BY window(moment, '1 day');
