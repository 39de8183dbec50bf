-- Removes a finished ID and the content key that it names; in a Cluster one of the two.
--
-- KEYS  the content key, if the ID's record names one, then the ID's
-- ARGV  1: the last key's value. The content key's name was read from the ID's.
-- Returns 1; 0 when that value is another by now, so that the content key may be
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
