-- Removes a finished ID and the content key that it names.
--
-- KEYS  the content key, if the ID's record names one, then the ID's
-- ARGV  1: the ID's value, from which the content key was read
-- Returns 1; 0 when the ID's value is another by now, so that its content key may be
-- another too; -1 when a key is in flight. Only 1 removes anything.

for i, key in ipairs(KEYS) do
  local value = redis.call('GET', key)
  if value and string.sub(value, 1, 1) == '*' then
    return -1
  end
  if i == #KEYS and value ~= ARGV[1] then
    return 0
  end
end
redis.call('DEL', unpack(KEYS))
return 1
