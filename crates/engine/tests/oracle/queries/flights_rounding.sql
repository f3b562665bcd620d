-- Rounding of every kind of number.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (event_id)
AS SELECT event_id, round(distance / 7, 2) AS two, round(distance, -2) AS hundreds, ceil(air_time / 60) AS up, floor(air_time / 60) AS down, round(CAST(distance AS DECIMAL(10, 3)) / 7, 1) AS exact, CAST(distance / 7 AS INT) AS cut FROM STREAM flights WHERE event_id % 7 = 5;
