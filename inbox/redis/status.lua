-- Counts.
--
-- ARGV  2: of how many minutes the finished are counted
-- Returns {now, {finished in the first of these minutes, …}, ready, delayed, leased, dead,
-- done, bytes, since when the oldest is ready or 0, 1 if paused, 1 if held, reason, count,
-- reason, count…}

local ready = redis.call('ZCOUNT', due, '-inf', now)
local leased = redis.call('ZCOUNT', lent, '(' .. now, '+inf')
local first = redis.call('ZRANGEBYSCORE', due, '-inf', now, 'WITHSCORES', 'LIMIT', 0, 1)
local h = redis.call('HMGET', hold, 'paused', 'until')
local bytes, reasons = 0, {}
local all = redis.call('HGETALL', counters)
for i = 1, #all, 2 do
  if all[i] == 'bytes' then
    bytes = tonumber(all[i + 1])
  else
    reasons[#reasons + 1] = string.sub(all[i], 6)
    reasons[#reasons + 1] = tonumber(all[i + 1])
  end
end
local finished, minutes, minute = {}, tonumber(ARGV[2]), math.floor(now / 60000)
for i = 1, minutes do
  local from = (minute - minutes + i) * 60000
  finished[i] = redis.call('ZCOUNT', recent, from, '(' .. (from + 60000))
end
return {now, finished, ready, redis.call('ZCARD', due) - ready - leased, leased, redis.call('ZCARD', dead),
  redis.call('ZCARD', recent), bytes, tonumber(first[2] or 0), h[1] and 1 or 0, h[2] and 1 or 0, unpack(reasons)}
