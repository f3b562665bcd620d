SELECT event_id, ts, carrier, flight, origin, dest, dep_delay, distance * 1.609344E0 AS kilometres FROM flights WHERE dep_delay > 15
