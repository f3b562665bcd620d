-- A column of every type.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (id)
AS SELECT * FROM STREAM kinds;
