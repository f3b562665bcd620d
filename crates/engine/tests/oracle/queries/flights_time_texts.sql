-- Times to texts and back by patterns.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id ASC')
AS SELECT origin, event_id, date_format(ts, 'EEE d MMM yyyy h:mm a') AS text, date_format(ts, 'DDD QQQ') AS day, from_unixtime(unix_seconds(ts), 'yyyy-MM-dd HH') AS hour,
  to_timestamp(concat(date_format(ts, 'dd.MM.yyyy'), ' 07'), 'dd.MM.yyyy HH') AS seven, to_date(date_format(ts, 'yyyyMMdd'), 'yyyyMMdd') AS same, to_unix_timestamp(date_format(ts, 'yyyy-MM'), 'yyyy-MM') AS month,
  try_to_timestamp(tailnum, 'yyyy') AS none
FROM STREAM flights WHERE distance > 1500;
