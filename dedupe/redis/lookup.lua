-- Reads one key and its remaining time together.
--
-- KEYS  1: a content or ID key
-- Returns {value, ms left}; value is '' when the key is absent.

local value = redis.call('GET', KEYS[1])
return {value or '', redis.call('PTTL', KEYS[1])}
