SELECT * FROM STREAM flights
WHERE event_id < 0 OR ts < TIMESTAMP '1970-01-01 00:00:00' OR year < 0 OR month < 0 OR day < 0 OR dep_time < 0 OR sched_dep_time < 0
   OR dep_delay < -10000 OR arr_time < 0 OR sched_arr_time < 0 OR arr_delay < -10000 OR carrier = '' OR flight < 0 OR tailnum = '?' OR origin = ''
   OR dest = '' OR air_time < 0 OR distance < 0 OR hour < 0 OR minute < 0 OR time_hour < TIMESTAMP '1970-01-01 00:00:00'
