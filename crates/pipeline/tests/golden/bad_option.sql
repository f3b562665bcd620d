CREATE TABLE flights (event_id BIGINT NOT NULL) USING kafka
OPTIONS (subscribe 'flights and more', value.format 'xml', partitions 0, retention '1 month', mode 'failfast', key.columns 'flight');
