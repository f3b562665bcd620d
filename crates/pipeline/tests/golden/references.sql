CREATE TABLE planes (id INT) USING postgresql;
CREATE TABLE airports (id INT) USING mysql OPTIONS (dbtable '(SELECT * FROM airports) a', filter '');
CREATE TABLE cities (id INT) USING mysql OPTIONS (dbtable 'geo.world.cities', query 'SELECT 1') LOCATION 'cities';
CREATE TABLE towns (id INT) USING mysql OPTIONS (dbtable 'towns', url 'jdbc:mysql://db:3306/geo');
CREATE TABLE unknown_columns USING mysql OPTIONS (dbtable 'unknown');
CREATE TABLE cached (id INT) USING redis;
CREATE TABLE driven (id INT) USING jdbc OPTIONS (dbtable 'planes');
CREATE TABLE lake (id INT) USING delta LOCATION 'lake';
CREATE TABLE a USING parket LOCATION 'a';
