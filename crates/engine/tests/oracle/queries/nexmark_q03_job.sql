-- People of three states who sell in category 10, as a batch job.
CREATE STREAMING TABLE people USING cassandra PARTITIONED BY (id) AS SELECT id, name, city, state FROM STREAM person;

CREATE STREAMING TABLE sold USING cassandra PARTITIONED BY (seller) TBLPROPERTIES ('clustering_key' = 'id ASC')
AS SELECT seller, id, category FROM STREAM auction;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'id')
AS SELECT p.name, p.city, p.state, a.id FROM sold a JOIN people p ON a.seller = p.id
WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA');
