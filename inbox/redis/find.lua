-- Finds events by their ID.
--
-- ARGV  2: the ID
--       3: the key of the last event of the part before; '' begins
--       4: most events
-- Returns {now, 1 where more may follow, event…}.

local name, most = named(ARGV[2]), tonumber(ARGV[4])
local found = redis.call('ZRANGEBYLEX', ids, '(' .. name .. ARGV[3], '(' .. string.sub(name, 1, -2) .. '\1', 'LIMIT', 0, most)
local events = {}
for i, member in ipairs(found) do
  local key = string.sub(member, #name + 1)
  local state = redis.call('HGET', stateOf(key), 'q')
  local list = state == 'w' and due or state == 'd' and dead or recent
  events[i] = info(key, redis.call('ZSCORE', list, key) or 0)
end
return {now, #events == most and 1 or 0, unpack(events)}
