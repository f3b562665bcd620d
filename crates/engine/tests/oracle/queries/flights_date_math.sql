-- Dates that are counted from.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (event_id)
AS SELECT event_id, datediff(to_date(ts), DATE '2024-02-01') AS days, add_months(to_date(ts), 1) AS month, trunc(to_date(ts), 'MM') AS first, next_day(to_date(ts), 'MON') AS monday, weekofyear(ts) AS week, dayofyear(ts) AS day, make_date(2024, month(ts), 1) AS made FROM STREAM flights WHERE event_id % 10 = 4;
