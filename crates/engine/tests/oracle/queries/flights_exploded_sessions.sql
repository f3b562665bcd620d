-- Airports' busy times: departures and arrivals that follow one another within half an hour.
-- @doubling changes the result
-- @closed by a later event
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (airport) TBLPROPERTIES ('clustering_key' = 'begins ASC')
AS SELECT airport, session_window.start AS begins, session_window.end AS ends, count(*) AS n, sum(distance) AS distance
FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS LATERAL VIEW explode(array(origin, dest)) a AS airport
WHERE airport IS NOT NULL GROUP BY airport, session_window(ts, '30 minutes');
