-- Parts of the address by regular expressions.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (auction) TBLPROPERTIES ('clustering_key' = 'date_time ASC, bidder ASC')
AS SELECT auction, bidder, date_time, regexp_extract(url, '^https://([^/]+)/([^/]*)', 2) AS channel, regexp_extract(url, 'channel_id=([0-9]+)') AS id, regexp_extract(url, 'none(x)?') AS none,
  regexp_extract(url, '[0-9]+', 0) AS number FROM STREAM bid WHERE price > 20000;
