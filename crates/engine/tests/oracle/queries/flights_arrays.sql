-- Arrays inside of expressions.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (event_id)
AS SELECT event_id, array(origin, dest)[1] AS second, size(array(origin, dest, carrier)) AS n, array_contains(array(origin, dest), 'SFO') AS west, element_at(array(dep_delay, arr_delay), 2) AS late FROM STREAM flights WHERE event_id % 6 = 2;
