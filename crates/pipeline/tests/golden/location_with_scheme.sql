CREATE TABLE airlines USING parquet LOCATION 'abfss://data@lake.dfs.core.windows.net/airlines';
CREATE TABLE airports USING csv LOCATION 's3:airports.csv';
