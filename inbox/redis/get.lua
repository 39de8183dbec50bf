-- Reads all of an event.
--
-- ARGV  2: the event's key
-- Returns {now, info, last attempts, envelope}; {now} where the event is not kept.

local key = ARGV[2]
local e = redis.call('HMGET', stateOf(key), 'q', 'l')
if not e[1] then
  return {now}
end
local list = e[1] == 'w' and due or e[1] == 'd' and dead or recent
return {now, info(key, redis.call('ZSCORE', list, key) or 0), e[2] or '', redis.call('GET', bodyOf(key)) or ''}
