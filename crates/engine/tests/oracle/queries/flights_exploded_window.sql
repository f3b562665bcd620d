-- Each departure counts at both of its airports.
-- @doubling changes the result
-- @closed by a later event
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (airport) TBLPROPERTIES ('clustering_key' = 'hour ASC')
AS SELECT airport, window.start AS hour, count(*) AS visits, sum(dep_delay) AS delay, max_by(carrier, event_id) AS last_carrier, count(DISTINCT event_id) AS flights
FROM STREAM flights WATERMARK ts DELAY OF INTERVAL 2 HOURS LATERAL VIEW explode(array(origin, dest, 'all')) a AS airport
WHERE airport <> 'LGA' GROUP BY airport, window(ts, '1 hour');
