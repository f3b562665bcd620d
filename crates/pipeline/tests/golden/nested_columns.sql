CREATE TABLE flights (id BIGINT, legs ARRAY<STRING>) USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE TABLE events (id BIGINT, place STRUCT<x: INT>) USING kafka OPTIONS (subscribe 'events', value.format 'json');
CREATE TABLE more (id BIGINT, name VARCHAR(20), x BLOB) USING kafka OPTIONS (subscribe 'more', value.format 'json');
