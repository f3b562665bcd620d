-- Objects written and read.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (event_id)
AS SELECT event_id, to_json(named_struct('o', origin, 'd', dest, 'n', dep_delay)) AS text, get_json_object(to_json(named_struct('o', origin)), '$.o') AS again FROM STREAM flights WHERE event_id % 9 = 0;
