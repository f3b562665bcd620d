CREATE TABLE airports USING mysql OPTIONS (dbtable 'airports');
CREATE TABLE planes USING postgresql;
CREATE TABLE events (id INT) USING cassandra;
CREATE TABLE cached (id INT) USING redis;
CREATE TABLE a USING parket LOCATION 'a';
