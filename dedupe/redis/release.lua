-- Frees the keys that one attempt holds.
--
-- KEYS  the event's keys, content before ID
-- ARGV  1: token, 16 bytes
-- Returns how many keys were freed.

local freed = 0
for _, key in ipairs(KEYS) do
  local value = redis.call('GET', key)
  if value and string.sub(value, 1, 17) == '*' .. ARGV[1] then
    freed = freed + redis.call('DEL', key)
  end
end
return freed
