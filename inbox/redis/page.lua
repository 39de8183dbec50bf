-- Lists a part of one list, newest first.
--
-- ARGV  2: the list: lent, due, dead, recent, or one by when events were accepted
--       3, 4: the time and the key of the last event of the part before; '' begins
--       5: most events
--       6, 7: the first and the last time of the list that are meant, ms; now and now+1 are
--             allowed, '' is open
-- Returns {now, 1 where more may follow, event…}. Leased events are listed in lent only.

local list, most = lane .. ARGV[2], tonumber(ARGV[5])

-- bound returns a time of the list; nil where it is open.
local function bound(text)
  if text == 'now' or text == 'now+1' then
    return text == 'now' and now or now + 1
  end
  return tonumber(text)
end
local first, last = bound(ARGV[6]), bound(ARGV[7])

-- settledIn is the list with the times when events were settled, where this one has other times.
local settledIn = nil
if string.sub(ARGV[2], 1, 2) == 'x:' then
  settledIn = string.sub(ARGV[2], 3, 3) == 'f' and recent or dead
end

-- above compares two keys byte by byte, as Redis sorts: Lua's own order is the locale's.
local function above(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then
      return x > y
    end
  end
  return #a > #b
end

-- passed reports whether an event is not behind the cursor, whose event may be gone, or later
-- than what is meant.
local function passed(key, at)
  if last and at > last then
    return true
  end
  local score = tonumber(ARGV[3])
  return ARGV[4] ~= '' and (at > score or at == score and (key == ARGV[4] or above(key, ARGV[4])))
end

local low, high = 0, 0
if last or ARGV[4] ~= '' then
  high = redis.call('ZCARD', list)
end
while low < high do
  local middle = math.floor((low + high) / 2)
  local e = redis.call('ZREVRANGE', list, middle, middle, 'WITHSCORES')
  if passed(e[1], tonumber(e[2])) then
    low = middle + 1
  else
    high = middle
  end
end

local found = redis.call('ZREVRANGE', list, low, low + most - 1, 'WITHSCORES')
local events, more = {}, #found == 2 * most and 1 or 0
for i = 1, #found, 2 do
  if first and tonumber(found[i + 1]) < first then
    more = 0
    break
  end
  events[#events + 1] = info(found[i], settledIn and redis.call('ZSCORE', settledIn, found[i]) or found[i + 1])
end
return {now, more, unpack(events)}
