-- Asks whether events may be taken from an inbox of several lanes. Where a hold has run
-- out, the caller gets the right to the one probe, for a moment in which to take it.
--
-- ARGV  2: that moment, ms
-- Returns {now, ms to wait or -1 where it is paused, 1 for a probe}.

local h = redis.call('HMGET', hold, 'paused', 'until')
if h[1] then
  return {now, -1, 0}
elseif not h[2] then
  return {now, 0, 0}
elseif now < tonumber(h[2]) then
  return {now, tonumber(h[2]) - now, 0}
end
free()
redis.call('HSET', hold, 'until', now + tonumber(ARGV[2]))
return {now, 0, 1}
