SELECT f.event_id, f.ts, f.carrier, a.name, f.origin, f.dest, f.dep_delay FROM STREAM flights f JOIN airlines a ON f.carrier = a.carrier
WHERE f.dep_delay > 15
