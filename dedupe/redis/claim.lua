-- Takes every key for one attempt, or none of them.
--
-- KEYS  the event's keys, content before ID
-- ARGV  1: token, 16 bytes
--       2: lease, ms
-- Returns '' when all keys are the token's now, else the index of the first key that
-- is not to be had and its value: '1200' is KEYS[1], finished with 200.
--
-- Values, in every script: '*' and a token is in flight; three digits, and after them
-- perhaps a content key of 16 bytes, is finished. Behind the content key, which is zeros
-- then where there is none, may be what the app replied. A content key's value may be '=',
-- three digits, the length of the ID's text in a byte, that text, and the reply.

local mine = '*' .. ARGV[1]
local held, refused = {}, nil
for i, key in ipairs(KEYS) do
  local value = redis.call('GET', key)
  if value and string.sub(value, 1, 17) == mine then
    held[#held + 1] = key
  elseif value and not refused then
    refused = i .. value
  end
end

if refused then
  -- A claim that is repeated may hold some keys: nobody keeps one key while being
  -- refused another.
  if #held > 0 then
    redis.call('DEL', unpack(held))
  end
  return refused
end

for _, key in ipairs(KEYS) do
  redis.call('SET', key, mine, 'PX', ARGV[2])
end
return ''
