-- The same of places in a list, in windows that overlap; a row for a list that is null, too.
-- @doubling changes the result
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (place) TBLPROPERTIES ('clustering_key' = 'begins ASC', 'output_mode' = 'update')
AS SELECT coalesce(place, -1) AS place, window.start AS begins, count(*) AS n, count(airport) AS known, min(airport) AS least
FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS LATERAL VIEW OUTER posexplode(CASE WHEN distance > 900 THEN array(origin, dest) END) a AS place, airport
GROUP BY coalesce(place, -1), window(ts, '6 hours', '2 hours');
