-- What the other scripts share: comparing numbers, and putting rows by version.

-- Whether the integer a is lower than b. Both are decimal text: a Lua number holds 53 bits of an integer, a version has 64.
local function lower(a, b)
  local x, y = tonumber(a), tonumber(b)
  if math.abs(x) < 2^53 and math.abs(y) < 2^53 then return x < y end
  if a == b then return false end
  local x_negative, y_negative = a:sub(1, 1) == '-', b:sub(1, 1) == '-'
  if x_negative ~= y_negative then return x_negative end
  local longer = #b > #a or (#b == #a and b > a)
  return longer ~= x_negative
end

-- The version that stands under a key, and whether it is that of a delete.
local function standing(format, key)
  if format == 'hash' then
    local found = redis.call('HMGET', key, '_version', '_deleted')
    return found[1], found[2] and true
  end
  local head = redis.call('GETRANGE', key, 0, 63)
  return head:match('^{"_version":(%-?%d+)'), head:match('^{"_version":%-?%d+,"_deleted":true}') and true
end

-- Puts the rows of KEYS[first] and after. ARGV from `at` on, for each: version, when it goes (milliseconds, '' for never), how many
-- arguments its content has (-1: it is a delete), and those. An equal version is put again if `again`. Returns how many rows stand differently.
local function put_rows(format, first, at, again)
  local changed = 0
  for k = first, #KEYS do
    local key, version, gone, count = KEYS[k], ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
    at = at + 3
    local stored, deleted = standing(format, key)
    if not stored or lower(stored, version) or (again and stored == version) then
      if format == 'hash' then
        if stored then redis.call('DEL', key) end
        if count < 0 then
          redis.call('HSET', key, '_version', version, '_deleted', '1')
        else
          redis.call('HSET', key, '_version', version)
          -- unpack is bounded by Lua's stack
          for from = at, at + count - 1, 1000 do
            redis.call('HSET', key, unpack(ARGV, from, math.min(from + 999, at + count - 1)))
          end
        end
        if gone ~= '' then redis.call('PEXPIREAT', key, gone) end
      else
        local value = count < 0 and '{"_version":' .. version .. ',"_deleted":true}' or ARGV[at]
        if gone ~= '' then redis.call('SET', key, value, 'PXAT', gone) else redis.call('SET', key, value) end
      end
      if count < 0 then
        if stored and not deleted then changed = changed + 1 end
      elseif deleted or stored ~= version then
        changed = changed + 1
      end
    end
    at = at + math.max(count, 0)
  end
  return changed
end
