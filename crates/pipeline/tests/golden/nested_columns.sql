CREATE TABLE flights (id BIGINT, legs ARRAY<BLOB>) USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE TABLE events (id BIGINT, place STRUCT<x: INT, x: INT>) USING kafka OPTIONS (subscribe 'events', value.format 'json');
CREATE TABLE more (id BIGINT, name VARCHAR(20), x BLOB) USING kafka OPTIONS (subscribe 'more', value.format 'json');
CREATE TABLE open (id BIGINT, tags ARRAY<STRING) USING kafka OPTIONS (subscribe 'open', value.format 'json');
CREATE TABLE closed (id BIGINT, tags ARRAY<STRING>>) USING kafka OPTIONS (subscribe 'closed', value.format 'json');
CREATE TABLE bare (id BIGINT, tags ARRAY) USING kafka OPTIONS (subscribe 'bare', value.format 'json');
CREATE TABLE keys (id BIGINT, tags MAP<MAP<STRING, INT>, INT>) USING kafka OPTIONS (subscribe 'keys', value.format 'json');
