-- Casts of every type to text and back.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (id)
AS SELECT id, CAST(flag AS STRING) AS flag, CAST(tiny AS STRING) AS tiny, CAST(single AS STRING) AS single, CAST(exact AS STRING) AS exact, CAST(bytes AS STRING) AS bytes, CAST(day AS STRING) AS day,
  CAST(moment AS STRING) AS moment, CAST(local AS STRING) AS local, CAST(CAST(exact AS STRING) AS DECIMAL(38, 18)) AS again FROM STREAM kinds;
