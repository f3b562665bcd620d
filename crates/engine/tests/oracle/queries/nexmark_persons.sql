-- People of three states, by their feed.
CREATE STREAMING TABLE people USING cassandra PARTITIONED BY (id) AS SELECT id, name, city, state, email_address FROM STREAM person;

CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (id)
AS SELECT id, name, state, city FROM STREAM people WHERE state IN ('OR', 'ID', 'CA');
