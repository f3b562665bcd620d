SELECT event_id, ts, carrier, flight, origin, dest, dep_delay, distance * 1.609344D AS kilometres FROM STREAM flights WHERE dep_delay > 15
