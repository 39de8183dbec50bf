-- Pauses, resumes, holds or releases an inbox.
--
-- ARGV  2: paused, or until
--       3: paused: 1 or 0; until: for how long, ms, and 0 releases
-- Returns 1.

free()
local value = tonumber(ARGV[3])
if value == 0 then
  redis.call('HDEL', hold, ARGV[2])
elseif ARGV[2] == 'until' then
  redis.call('HSET', hold, 'until', now + value)
else
  redis.call('HSET', hold, 'paused', 1)
end
return 1
