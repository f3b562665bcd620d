-- Every flight as it is.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (event_id)
AS SELECT * FROM STREAM flights WHERE event_id <= 120;
