-- Marks keys as finished, whoever holds them.
--
-- KEYS  the event's keys, content before ID
-- ARGV  1: time to live, ms
--       2..n+1: the value of each key
-- Returns 1.
--
-- A key that is finished already keeps its value, and never loses time to live.

local ttl = tonumber(ARGV[1])
for i, key in ipairs(KEYS) do
  local value = redis.call('GET', key)
  if not value or string.sub(value, 1, 1) == '*' then
    redis.call('SET', key, ARGV[i + 1], 'PX', ARGV[1])
  else
    local left = redis.call('PTTL', key)
    if left >= 0 and left < ttl then
      redis.call('PEXPIRE', key, ARGV[1])
    end
  end
end
return 1
