-- KEYS: the table's epochs. ARGV: flow, attempt. Fences all lower attempts; returns the flow's last committed epoch.
local attempt = redis.call('HGET', KEYS[1], 'attempt:' .. ARGV[1])
if not attempt or lower(attempt, ARGV[2]) then redis.call('HSET', KEYS[1], 'attempt:' .. ARGV[1], ARGV[2]) end
return redis.call('HGET', KEYS[1], 'epoch:' .. ARGV[1]) or '0'
