CREATE TABLE flights (event_id BIGINT NOT NULL) USING kafka
OPTIONS (subscribe 'flights', value.format 'json', kafka.bootstrap.servers 'broker:9092', kafka.sasl.jaas.config 'secret', endpoint = 'https://ns');
CREATE TABLE airlines USING parquet OPTIONS (refresh 'lake.example.net:8080') LOCATION 'airlines.parquet';
