-- Keeps an event that is new, or says where the event stands and revives a dead one.
--
-- ARGV  2: the event's key
--       3: its envelope; '' accepts nothing and only revives
--       4, 5: most waiting events and bytes; 0 is no limit
--       6, 7, 8: scope, ID and type
-- Returns an inbox.Answer.

local accepted, queued, revived, finished, full, notKept = 1, 2, 3, 4, 5, 6
local key, envelope, events, bytes = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local found = redis.call('HMGET', stateOf(key), 'q', 'z', 'e')
local state, size, reason = found[1], tonumber(found[2] or 0), found[3]

if not state and envelope == '' then
  return notKept
elseif state == 'f' then
  return finished
elseif state == 'w' then
  return queued
elseif not fits(state and size or #envelope, events, bytes) then
  return full
end

if not state then
  redis.call('SET', bodyOf(key), envelope)
  redis.call('ZADD', due, now, key)
  redis.call('HSET', stateOf(key), 'q', 'w', 'z', #envelope, 'a', now, 'b', now, 'n', 0, 'r', 0, 'o', ARGV[6], 'i', ARGV[7], 'y', ARGV[8])
  redis.call('HINCRBY', counters, 'bytes', #envelope)
  if ARGV[7] ~= '' then
    redis.call('ZADD', ids, 0, named(ARGV[7]) .. key)
  end
  return accepted
end
leave(key, state, size, reason)
if envelope ~= '' and redis.call('EXISTS', bodyOf(key)) == 0 then
  redis.call('SET', bodyOf(key), envelope)
  redis.call('HSET', stateOf(key), 'z', #envelope)
  size = #envelope
end
begin(key, size, now, 0)
return revived
