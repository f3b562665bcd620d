-- Functions of times.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id ASC')
AS SELECT origin, event_id, to_date(ts) AS day, hour(ts) AS hour, date_trunc('HOUR', ts) AS whole, ts + INTERVAL 90 MINUTES AS later, date_format(ts, 'yyyy-MM-dd HH:mm') AS text,
  dayofweek(ts) AS weekday, last_day(to_date(ts)) AS last, date_add(to_date(ts), 2) AS soon, unix_seconds(ts) AS seconds FROM STREAM flights WHERE event_id % 6 = 1;
