-- KEYS: rows. ARGV: format, '1' where an equal version is put again (a write) and '0' where not (a fill), then the rows.
return put_rows(ARGV[1], 1, 3, ARGV[2] == '1')
