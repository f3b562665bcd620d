-- A first pipeline, to edit: orders arrive on a topic, are kept by customer, and are summed up every minute.

CREATE TABLE orders (order_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, customer STRING NOT NULL, amount DOUBLE)
USING kafka OPTIONS (subscribe 'orders', value.format 'json');

CREATE STREAMING TABLE orders_by_customer USING cassandra
PARTITIONED BY (customer)
TBLPROPERTIES ('clustering_key' = 'ts DESC, order_id ASC')
AS SELECT customer, ts, order_id, amount FROM STREAM orders;

CREATE MATERIALIZED VIEW customer_totals USING postgresql
TBLPROPERTIES ('primary_key' = 'customer', 'schedule' = '* * * * *')
AS SELECT customer, count(*) AS orders, sum(amount) AS amount FROM orders_by_customer GROUP BY customer;
