-- Rows in a relational table.
CREATE STREAMING TABLE result USING postgresql TBLPROPERTIES ('primary_key' = 'event_id')
AS SELECT event_id, carrier, dest, dep_delay FROM STREAM flights WHERE dep_delay > 45;
