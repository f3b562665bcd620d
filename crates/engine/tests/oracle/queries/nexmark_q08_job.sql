-- People who sell in the minute in which they registered, as a batch job.
CREATE STREAMING TABLE sold USING cassandra PARTITIONED BY (id) AS SELECT id, category, seller, date_time, expires, reserve FROM STREAM auction;

CREATE STREAMING TABLE people USING cassandra PARTITIONED BY (id) AS SELECT id, name, date_time FROM STREAM person;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'id')
AS SELECT p.id, p.name, count(*) AS auctions FROM people p JOIN sold a ON p.id = a.seller AND date_trunc('HOUR', p.date_time) = date_trunc('HOUR', a.date_time)
GROUP BY p.id, p.name;
