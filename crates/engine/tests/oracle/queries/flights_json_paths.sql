-- Parts of a JSON text, with wildcards.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id ASC')
AS SELECT origin, event_id, get_json_object(text, '$.legs[*].to') AS tos, get_json_object(text, '$.legs[0].to') AS first, get_json_object(text, '$.legs[*]') AS legs FROM
  (SELECT origin, event_id, to_json(named_struct('legs', array(named_struct('to', dest, 'n', flight), named_struct('to', tailnum, 'n', distance)))) AS text FROM STREAM flights)
WHERE event_id % 5 = 0;
