-- A SQL function.
CREATE FUNCTION hours(minutes INT) RETURNS DOUBLE RETURN minutes / 60;

CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (event_id)
AS SELECT event_id, hours(air_time) AS hours FROM STREAM flights WHERE distance > 2000;
