-- Lists a part of one list, newest first.
--
-- ARGV  2: the list: lent, due, dead or recent
--       3, 4: the time and the key of the last event of the part before; '' begins
--       5: most events
-- Returns {now, 1 where more may follow, event…}. Leased events are listed in lent only.

local list, most = lane .. ARGV[2], tonumber(ARGV[5])

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

local low = 0
if ARGV[4] ~= '' then
  -- The place behind the cursor, whose event may be gone.
  local score, high = tonumber(ARGV[3]), redis.call('ZCARD', list)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local e = redis.call('ZREVRANGE', list, middle, middle, 'WITHSCORES')
    local at = tonumber(e[2])
    if at > score or at == score and (e[1] == ARGV[4] or above(e[1], ARGV[4])) then
      low = middle + 1
    else
      high = middle
    end
  end
end

local found = redis.call('ZREVRANGE', list, low, low + most - 1, 'WITHSCORES')
local events = {}
for i = 1, #found, 2 do
  events[#events + 1] = info(found[i], found[i + 1])
end
return {now, #events == most and 1 or 0, unpack(events)}
