-- Sessions of bidders, as a batch job.
CREATE STREAMING TABLE bids USING cassandra PARTITIONED BY (auction) TBLPROPERTIES ('clustering_key' = 'date_time ASC, bidder ASC')
AS SELECT auction, date_time, bidder, price, channel FROM STREAM bid;

CREATE MATERIALIZED VIEW result USING postgresql TBLPROPERTIES ('primary_key' = 'bidder, begins')
AS SELECT bidder, session_window.start AS begins, session_window.end AS ends, count(*) AS bids FROM bids GROUP BY bidder, session_window(date_time, '2 minutes');
