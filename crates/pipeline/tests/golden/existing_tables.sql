CREATE TABLE orders (id BIGINT NOT NULL, placed TIMESTAMP, customer STRING NOT NULL) USING cassandra
PARTITIONED BY (customer) TBLPROPERTIES ('clustering_key' = 'placed DESC, id');
CREATE TABLE no_key (id BIGINT NOT NULL) USING cassandra;
CREATE TABLE no_columns USING cassandra PARTITIONED BY (id);
CREATE TABLE wrong_key (id BIGINT NOT NULL, price DOUBLE) USING cassandra PARTITIONED BY (ident) TBLPROPERTIES ('clustering_key' = 'price');
CREATE TABLE options (id BIGINT NOT NULL) USING cassandra PARTITIONED BY (id) TBLPROPERTIES ('ttl' = '1 day') LOCATION '/data';
