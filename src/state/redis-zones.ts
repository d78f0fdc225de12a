/**
 * Zones of values in Lua, so that Redis counts and evicts in one step. Beside the values, each after the prefix of the
 * store: `zones` (hash: key to its size and zone), `zones:sizes` (hash: zone to bytes), `zones:ends` (sorted set: keys
 * by expiry) and `zones:order:<zone>` (sorted set: keys by turn). Lost entries are counted again as values are set.
 */

/** ARGV[1] is the time in a test, else empty; ARGV[2] is the prefix. */
const COMMON = `
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local places, sizes, ends = ARGV[2] .. 'zones', ARGV[2] .. 'zones:sizes', ARGV[2] .. 'zones:ends'
local function orderOf(zone) return ARGV[2] .. 'zones:order:' .. zone end
local function leave(key)
  local place = redis.call('HGET', places, key)
  redis.call('ZREM', ends, key)
  if not place then return end
  local bytes, zone = string.match(place, '^(%d+) (.*)$')
  redis.call('HDEL', places, key)
  redis.call('ZREM', orderOf(zone), key)
  if redis.call('HINCRBY', sizes, zone, '-' .. bytes) < 0 then redis.call('HSET', sizes, zone, 0) end
end
local function expire(count)
  for _, key in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, count)) do leave(key) end
end
`

/**
 * KEYS: key. ARGV: now, prefix, zone, maxBytes, bytes, value, ttlMs or ''. One write evicts a bounded number of values;
 * later writes evict the rest.
 */
export const ENTER = `${COMMON}
local key, zone, maxBytes, ttlMs = KEYS[1], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[7])
leave(key)
expire(100)
if ttlMs and ttlMs <= 0 then
  redis.call('DEL', key)
  return {}
end
if ttlMs and ARGV[1] == '' then redis.call('SET', key, ARGV[6], 'PX', ARGV[7]) else redis.call('SET', key, ARGV[6]) end
redis.call('HSET', places, key, ARGV[5] .. ' ' .. zone)
redis.call('ZADD', orderOf(zone), redis.call('HINCRBY', sizes, ':turn', 1), key)
if ttlMs then redis.call('ZADD', ends, now + ttlMs, key) end
local bytes = redis.call('HINCRBY', sizes, zone, ARGV[5])
for _ = 1, 500 do
  if bytes <= maxBytes then break end
  local first = redis.call('ZRANGE', orderOf(zone), 0, 0)[1]
  if not first or first == key then
    redis.call('HSET', sizes, zone, ARGV[5])
    break
  end
  redis.call('DEL', first)
  leave(first)
  redis.call('ZREM', orderOf(zone), first)
  bytes = tonumber(redis.call('HGET', sizes, zone))
end
return {}
`

/** KEYS: key. ARGV: now, prefix. For values with or without a zone. */
export const DELETE = `${COMMON}
redis.call('DEL', KEYS[1])
leave(KEYS[1])
return {}
`

/** KEYS: the zone, after the prefix. ARGV: now, prefix. Returns entries, bytes. */
export const SIZE = `${COMMON}
expire(1000)
local zone = string.sub(KEYS[1], #ARGV[2] + 1)
return { tostring(redis.call('ZCARD', orderOf(zone))), redis.call('HGET', sizes, zone) or '0' }
`
