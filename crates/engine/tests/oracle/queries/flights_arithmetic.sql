-- Speeds, by integers and by fractions.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id ASC')
AS SELECT origin, event_id, distance / air_time * 60 AS mph, distance DIV 100 AS hundreds, distance % 100 AS rest, -dep_delay AS early, dep_delay - arr_delay AS caught_up,
  round(distance * 1.609344, 1) AS km, CAST(distance AS DOUBLE) / 3 AS third FROM STREAM flights WHERE dest = 'SFO';
