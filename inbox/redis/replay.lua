-- Makes events ready again that are dead, delayed, or finished with their envelope kept.
--
-- ARGV  2: when the first is due, µs from now
--       3: how much later each further one is, µs
--       4, 5: most waiting events and bytes; 0 is no limit
--       6…: the events' keys
-- Returns {how many it has moved, 1 where there was no room for the rest}.

local after, gap, events, bytes = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local moved = 0
for i = 6, #ARGV do
  local key = ARGV[i]
  local e = redis.call('HMGET', stateOf(key), 'q', 'z', 'e', 't')
  local state, size = e[1], tonumber(e[2] or 0)
  local delayed = state == 'w' and not e[4] and tonumber(redis.call('ZSCORE', due, key)) > now
  if size > 0 and (state ~= 'w' or delayed) then
    if state ~= 'w' and not fits(size, events, bytes) then
      return {moved, 1}
    end
    leave(key, state, size, e[3])
    begin(key, size, now + math.floor((after + moved * gap) / 1000), 1)
    moved = moved + 1
  end
end
return {moved, 0}
