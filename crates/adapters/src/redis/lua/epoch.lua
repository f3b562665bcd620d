-- KEYS: the table's epochs, then rows. ARGV: format, flow, attempt, epoch, '1' to commit the epoch with these rows, then the rows.
-- Returns a word (written, done, fenced, gap, lost), a number that explains it, and how many rows stand differently.
local flow, attempt, epoch = ARGV[2], ARGV[3], ARGV[4]
local highest = redis.call('HGET', KEYS[1], 'attempt:' .. flow) or '0'
if lower(attempt, highest) then return {'fenced', highest, 0} end
local committed = redis.call('HGET', KEYS[1], 'epoch:' .. flow) or '0'
local follows = tonumber(epoch) == tonumber(committed) + 1
if lower(highest, attempt) then
  -- begin wrote the attempt: what was here then is lost. That matters unless nothing had been committed yet.
  if not follows then return {'lost', committed, 0} end
  redis.call('HSET', KEYS[1], 'attempt:' .. flow, attempt)
end
if not lower(committed, epoch) then return {'done', committed, 0} end
if not follows then return {'gap', committed, 0} end
local changed = put_rows(ARGV[1], 2, 6, true)
if ARGV[5] == '1' then redis.call('HSET', KEYS[1], 'epoch:' .. flow, epoch) end
return {'written', epoch, changed}
