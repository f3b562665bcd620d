-- KEYS: rows. ARGV: format. Removes those that aren't tombstones.
local gone = 0
for _, key in ipairs(KEYS) do
  local version, deleted = standing(ARGV[1], key)
  if version and not deleted then gone = gone + redis.call('UNLINK', key) end
end
return gone
