-- Leases ready events to a token, and removes some of those whose time is over.
--
-- ARGV  2: most events
--       3: lease, ms
--       4: token, 16 bytes
--       5, 6: how long finished and dead events are kept, ms; 0 is for ever
--       7: 1 where the lane's own hold counts, 0 where the caller has asked for it
-- Returns {now, ms until another may be ready or -1, 1 for a probe, event…}: each event is
-- its info and its envelope.

local n, lease = tonumber(ARGV[2]), tonumber(ARGV[3])
free()

local function removeOld(list, keep)
  if keep > 0 then
    for _, key in ipairs(redis.call('ZRANGEBYSCORE', list, '-inf', now - keep, 'LIMIT', 0, 100)) do
      remove(key)
    end
  end
end
removeOld(recent, tonumber(ARGV[5]))
removeOld(dead, tonumber(ARGV[6]))

local held = false
if ARGV[7] == '1' then
  local h = redis.call('HMGET', hold, 'paused', 'until')
  if h[1] then
    return {now, -1, 0}
  elseif h[2] then
    held = true
    if now < tonumber(h[2]) then
      return {now, tonumber(h[2]) - now, 0}
    end
    n = math.min(n, 1)
  end
end

local given = {}
while #given < n do
  local ready = redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, n - #given)
  if #ready == 0 then
    break
  end
  for _, key in ipairs(ready) do
    local body, size = redis.call('GET', bodyOf(key)), redis.call('HGET', stateOf(key), 'z')
    if not size then -- lost with its state
      redis.call('ZREM', due, key)
      redis.call('ZREM', lent, key)
    elseif not body then
      die(key, tonumber(size), 'damaged')
    else
      redis.call('ZADD', due, now + lease, key)
      redis.call('ZADD', lent, now + lease, key)
      redis.call('HINCRBY', stateOf(key), 'n', 1)
      redis.call('HSET', stateOf(key), 't', ARGV[4])
      given[#given + 1] = {info(key, now + lease), body}
    end
  end
end

local wait, probe = -1, 0
local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
if first[1] then
  wait = math.max(0, tonumber(first[2]) - now)
end
if held and #given == 1 then
  redis.call('HSET', hold, 'until', now + lease)
  wait, probe = lease, 1
end
return {now, wait, probe, unpack(given)}
