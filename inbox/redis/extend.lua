-- Gives an event that the token holds a new lease, counted from now.
--
-- ARGV  2: the event's key
--       3: token, 16 bytes
--       4: lease, ms
-- Returns 1, or 0 where the event is not the token's.

local key = ARGV[2]
if redis.call('HGET', stateOf(key), 't') ~= ARGV[3] then
  return 0
end
free()
redis.call('ZADD', due, now + tonumber(ARGV[4]), key)
redis.call('ZADD', lent, now + tonumber(ARGV[4]), key)
return 1
