CREATE TABLE avro (a INT) USING kafka OPTIONS (subscribe 'avro', value.format 'avro');
CREATE TABLE protobuf (a INT) USING kafka OPTIONS (subscribe 'protobuf', value.format 'protobuf');
CREATE TABLE csv (a INT) USING kafka OPTIONS (subscribe 'csv', value.format 'csv');
