-- What the scripts of an inbox share. It stands before each of them.
--
-- KEYS  1: the lane's `due`. All other keys of the lane begin like it.
-- ARGV  1: an offset to the server's time, ms; 0 but in tests
--
-- The keys of a lane:
--   due       the waiting events, each with the time from which on it may be taken, ms
--   lent      those of them that a token holds, with the same times: an index to count them
--   dead      the events that were given up, with the times when
--   recent    the finished events, with the times when
--   x:d x:f   the dead and the finished events, with the times when they were accepted, ms; and
--             x:d:<type> x:f:<type> those of one type, x:e:<reason> the dead of one reason
--   ids       all events, each as its ID, a zero byte and its key: an index to find them
--   c         counters: bytes, and the dead by reason, as dead:<reason>
--   hold      paused, and until when the inbox is held, ms
--   s:<key>   an event's state and names:
--             q   w waits, d dead, f finished
--             z   the size of its envelope; 0 where it is not kept
--             a b when it was accepted, and when this round of attempts began, ms
--             n   the attempts of this round
--             t   the token that holds it
--             r   1: this round is a replay
--             x   the status of the last answer
--             e   why it was given up, or postponed
--             o i y  scope, ID and type
--             l   the last attempts, each after its length (2 bytes)
--   b:<key>   an event's envelope

local lane = string.sub(KEYS[1], 1, -4)
local due, lent, dead, recent = KEYS[1], lane .. 'lent', lane .. 'dead', lane .. 'recent'
local counters, hold, ids = lane .. 'c', lane .. 'hold', lane .. 'ids'
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + tonumber(ARGV[1])

local function stateOf(key) return lane .. 's:' .. key end
local function bodyOf(key) return lane .. 'b:' .. key end

-- free lets a script go on where Redis is out of memory: it refuses the first write that takes
-- some, and none after one that takes nothing. What is delivered makes room again.
local function free()
  redis.call('HDEL', hold, 'none')
end

local function add(counter, by)
  if redis.call('HINCRBY', counters, counter, by) == 0 then
    redis.call('HDEL', counters, counter)
  end
end

-- fits reports whether one more event may wait.
local function fits(size, events, bytes)
  return (events == 0 or redis.call('ZCARD', due) < events)
    and (bytes == 0 or tonumber(redis.call('HGET', counters, 'bytes') or 0) + size <= bytes)
end

-- named returns the beginning of an ID's members in ids. IDs that are long, or hold what
-- stands before the key there, are digested.
local function named(id)
  local plain = #id <= 40 and not string.find(id, '\0', 1, true)
  return (plain and id or redis.sha1hex(id)) .. '\0'
end

-- lists returns those of the dead and finished events by when they were accepted.
local function lists(state, kind, reason)
  local all = {lane .. 'x:' .. state, lane .. 'x:' .. state .. ':' .. kind}
  if state == 'd' then
    all[3] = lane .. 'x:e:' .. reason
  end
  return all
end

-- enter lists an event that is dead or finished from now on.
local function enter(key, state, reason)
  redis.call('ZADD', state == 'd' and dead or recent, now, key)
  local e = redis.call('HMGET', stateOf(key), 'a', 'y')
  for _, list in ipairs(lists(state, e[2], reason)) do
    redis.call('ZADD', list, e[1], key)
  end
end

-- leave takes an event out of its lists and out of the counters.
local function leave(key, state, size, reason)
  if state == 'w' then
    redis.call('ZREM', due, key)
    redis.call('ZREM', lent, key)
    add('bytes', -size)
    return
  end
  redis.call('ZREM', state == 'd' and dead or recent, key)
  for _, list in ipairs(lists(state, redis.call('HGET', stateOf(key), 'y'), reason)) do
    redis.call('ZREM', list, key)
  end
  if state == 'd' then
    add('dead:' .. reason, -1)
  end
end

-- begin makes an event wait for a new round of attempts.
local function begin(key, size, at, replay)
  redis.call('ZADD', due, at, key)
  redis.call('HSET', stateOf(key), 'q', 'w', 'b', at, 'n', 0, 'r', replay)
  redis.call('HDEL', stateOf(key), 'e', 't')
  add('bytes', size)
end

-- die gives a waiting event up.
local function die(key, size, reason)
  leave(key, 'w', size)
  enter(key, 'd', reason)
  redis.call('HSET', stateOf(key), 'q', 'd', 'e', reason)
  redis.call('HDEL', stateOf(key), 't')
  add('dead:' .. reason, 1)
end

-- remove removes an event, whatever its state, and returns whether there was one.
local function remove(key)
  local e = redis.call('HMGET', stateOf(key), 'q', 'z', 'e', 'i')
  if not e[1] then
    return false
  end
  leave(key, e[1], tonumber(e[2]), e[3])
  redis.call('ZREM', ids, named(e[4]) .. key)
  redis.call('DEL', stateOf(key), bodyOf(key))
  return true
end

-- info returns what lists tell of an event, and when it is due or was settled.
local function info(key, at)
  return {key, tostring(at), redis.call('HMGET', stateOf(key), 'q', 'z', 'a', 'b', 'n', 't', 'r', 'x', 'e', 'o', 'i', 'y')}
end
