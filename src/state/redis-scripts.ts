/**
 * `take` and `hold` of `amounts.ts` in Lua, so that Redis decides and writes in one step. The stored texts are equal.
 * Numbers are passed as text of 17 digits, because Redis truncates Lua numbers to integers.
 */

/**
 * KEYS[2] holds the epoch, which identifies the content of Redis; the last ARGV is the epoch to create when there is
 * none.
 */
const FIND_EPOCH = `
local epoch = redis.call('GET', KEYS[2])
if not epoch then
  epoch = ARGV[#ARGV]
  redis.call('SET', KEYS[2], epoch)
end
`

/** KEYS: any, epoch. ARGV: now, new epoch. Returns epoch. */
export const BEGIN = `${FIND_EPOCH}
return { epoch }
`

/** ARGV[1] is the time in a test, else empty: then the clock of Redis decides, which is the same for all clients. */
const COMMON = `${FIND_EPOCH}
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local function text(number) return string.format('%.17g', number) end
local function round(number) return math.floor(number * 1000 + 0.5) / 1000 end
local stored = redis.call('GET', KEYS[1])
local function keep(value, expiresAt)
  if expiresAt <= now then redis.call('DEL', KEYS[1])
  elseif ARGV[1] ~= '' then redis.call('SET', KEYS[1], value)
  else redis.call('SET', KEYS[1], value, 'PX', string.format('%.0f', math.ceil(expiresAt - now))) end
end
`

/**
 * KEYS: key, epoch. ARGV: now, limit, until or '', slidingMs or '', buckets, want, atLeast, spend, takenAt or '',
 * graceMs, lifeMs, new epoch. Returns granted, left, retryAt, at, epoch.
 */
export const TAKE = `${COMMON}
local limit, until_, slidingMs, parts = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local want, atLeast, spend, takenAt = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local graceMs, lifeMs = tonumber(ARGV[10]), tonumber(ARGV[11])
local function grant(used)
  local most = math.max(0, math.min(want, round(limit - used)))
  if most < atLeast then return 0 end
  return most
end
if until_ then
  local since, before = until_, 0
  if stored then
    local pair = cjson.decode(stored)
    -- With a test's clock nothing expires by itself.
    if ARGV[1] == '' or math.max(pair[1], 0) + graceMs > now then since, before = pair[1], pair[2] end
  end
  local ends = math.max(since, until_)
  if until_ < since then spend = math.max(0, spend) end
  local used = before
  if ends > since then used = 0 end
  used = math.max(0, round(used + spend))
  local granted = grant(used)
  local taken = round(used + granted)
  local left = math.max(0, round(limit - taken))
  keep('[' .. text(ends) .. ',' .. text(taken) .. ']', math.max(ends, now) + graceMs)
  local retryAt = 0
  if left <= 0 then retryAt = ends end
  return { text(granted), text(left), text(retryAt), text(now), epoch }
end
local width = math.max(1, math.ceil(slidingMs / parts))
local function endOf(bucket) return (bucket + 1) * width + lifeMs + slidingMs end
local current = math.floor(now / width)
local buckets, sum = {}, 0
if stored then
  for key, amount in pairs(cjson.decode(stored)) do
    local bucket = math.min(tonumber(key), current)
    if endOf(bucket) > now then
      buckets[bucket] = round((buckets[bucket] or 0) + amount)
      sum = sum + amount
    end
  end
end
if spend < 0 then
  local bucket = math.min(math.floor((takenAt or now) / width), current)
  local back = math.min(buckets[bucket] or 0, -spend)
  buckets[bucket] = round((buckets[bucket] or 0) - back)
  sum = sum - back
end
local used = round(sum + math.max(0, spend))
local granted = grant(used)
local added = round(math.max(0, spend) + granted)
if added > 0 then buckets[current] = round((buckets[current] or 0) + added) end
local left = math.max(0, round(limit - used - granted))
local list, first, last = {}, math.huge, now
for bucket, amount in pairs(buckets) do
  if amount > 0 then
    list[#list + 1] = '"' .. string.format('%.0f', bucket) .. '":' .. text(amount)
    first = math.min(first, endOf(bucket))
    last = math.max(last, endOf(bucket))
  end
end
keep('{' .. table.concat(list, ',') .. '}', last)
local retryAt = 0
if left <= 0 then retryAt = first end
return { text(granted), text(left), text(retryAt), text(now), epoch }
`

/** KEYS: key, epoch. ARGV: now, holder, want, limit, ttlMs, '1' or '', new epoch. Returns permits, left, epoch. */
export const HOLD = `${COMMON}
local holder, want, limit, ttlMs = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local claims, theirs, last = {}, 0, now
local renews, isLive = ARGV[6] == '1', false
if stored then
  for other, claim in pairs(cjson.decode(stored)) do
    if other == holder then isLive = claim['until'] > now end
    if other ~= holder and claim['until'] > now then
      claim['until'] = math.min(claim['until'], now + ttlMs)
      claims[other] = claim
      theirs = theirs + claim.permits
    end
  end
end
if renews and not isLive then want = 0 end
local permits = math.max(0, math.min(want, limit - theirs))
if permits > 0 then claims[holder] = { permits = permits, ['until'] = now + ttlMs } end
local list = {}
for other, claim in pairs(claims) do
  list[#list + 1] = cjson.encode(other) .. ':{"permits":' .. text(claim.permits) .. ',"until":' .. text(claim['until']) .. '}'
  last = math.max(last, claim['until'])
end
keep('{' .. table.concat(list, ',') .. '}', last)
return { text(permits), text(math.max(0, limit - theirs - permits)), epoch }
`

/**
 * KEYS: key of the claim, epoch, key of the value. ARGV: now, holder, 'set' or 'delete', value, ttlMs or '', new epoch.
 * Returns '1' or '0', epoch.
 */
export const SET_HELD = `${COMMON}
local claim = stored and cjson.decode(stored)[ARGV[2]]
if not claim or claim['until'] <= now then return { '0', epoch } end
if ARGV[3] == 'delete' then redis.call('DEL', KEYS[3])
elseif ARGV[5] == '' then redis.call('SET', KEYS[3], ARGV[4])
else redis.call('SET', KEYS[3], ARGV[4], 'PX', ARGV[5]) end
return { '1', epoch }
`
