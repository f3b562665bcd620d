-- Hashes and encodings.
CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (event_id)
AS SELECT event_id, md5(tailnum) AS md5, sha2(origin, 256) AS sha, crc32(dest) AS crc, hex(carrier) AS hex, base64(CAST(origin AS BINARY)) AS base, xxhash64(carrier, flight) AS hash FROM STREAM flights WHERE event_id % 20 = 1;
