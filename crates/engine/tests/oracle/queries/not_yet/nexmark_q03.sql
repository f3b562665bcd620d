-- People of three states and what they sell: a join of two streams without bounds in time.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (id)
AS SELECT p.name, p.city, p.state, a.id FROM STREAM auction a JOIN STREAM person p ON a.seller = p.id
WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA');
