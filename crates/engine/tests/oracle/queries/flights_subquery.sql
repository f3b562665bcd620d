-- A query over a query.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id ASC')
AS SELECT origin, event_id, late * 2 AS twice FROM (SELECT origin, event_id, dep_delay AS late FROM STREAM flights WHERE carrier = 'AA') WHERE late > 10;
