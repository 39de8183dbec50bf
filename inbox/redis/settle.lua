-- Ends an attempt.
--
-- ARGV  2: the event's key
--       3: token, 16 bytes
--       4: 1 success, 2 retry, 3 give up, 4 postpone
--       5: the delay of a retry, or of what is postponed, ms
--       6: why it is given up or postponed
--       7: status
--       8: the attempt, encoded
--       9: most attempts that are remembered
--       10: 1 to keep the envelope of a finished event
-- Returns 1, or 0 where the event is not the token's.

local key, outcome = ARGV[2], ARGV[4]
local event = stateOf(key)
local e = redis.call('HMGET', event, 'q', 'z', 'e', 't', 'l')
local state, size, log = e[1], tonumber(e[2] or 0), e[5] or ''

if outcome == '1' then
  if not state or state == 'f' then
    return 1
  end
elseif not state or e[4] ~= ARGV[3] then
  return 0
end

free()
if outcome == '4' then
  redis.call('ZADD', due, now + tonumber(ARGV[5]), key)
  redis.call('ZREM', lent, key)
  redis.call('HDEL', event, 't')
  redis.call('HSET', event, 'e', ARGV[6])
  redis.call('HINCRBY', event, 'n', -1)
  return 1
end

log = log .. string.char(math.floor(#ARGV[8] / 256), #ARGV[8] % 256) .. ARGV[8]
local starts, at = {}, 1
while at < #log do
  starts[#starts + 1] = at
  local high, low = string.byte(log, at, at + 1)
  at = at + 2 + high * 256 + low
end
local surplus = #starts - tonumber(ARGV[9])
if surplus > 0 then
  log = string.sub(log, starts[surplus + 1])
end

if outcome == '2' then
  redis.call('ZADD', due, now + tonumber(ARGV[5]), key)
  redis.call('ZREM', lent, key)
  redis.call('HDEL', event, 'e', 't')
elseif outcome == '3' then
  die(key, size, ARGV[6])
else
  leave(key, state, size, e[3])
  enter(key, 'f')
  redis.call('HSET', event, 'q', 'f')
  redis.call('HDEL', event, 'e', 't')
  if ARGV[10] == '0' then
    redis.call('DEL', bodyOf(key))
    redis.call('HSET', event, 'z', 0)
  end
end
redis.call('HSET', event, 'l', log, 'x', ARGV[7])
return 1
