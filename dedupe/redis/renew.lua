-- Gives a claim a new lease, counted from now.
--
-- KEYS  the event's keys, content before ID
-- ARGV  1: token, 16 bytes
--       2: lease, ms; 0 only looks
-- Returns 1, or 0 when the token does not hold every key; then none is touched.

for _, key in ipairs(KEYS) do
  local value = redis.call('GET', key)
  if not value or string.sub(value, 1, 17) ~= '*' .. ARGV[1] then
    return 0
  end
end
if ARGV[2] ~= '0' then
  for _, key in ipairs(KEYS) do
    redis.call('PEXPIRE', key, ARGV[2])
  end
end
return 1
