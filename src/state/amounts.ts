import { lifeOf, BUCKETS } from './store.ts'
import type { Held, HoldRequest, Taken, TakeRequest } from './store.ts'

/**
 * The arithmetic of quotas, as functions from a stored text to the next one, so that every store with an atomic replace
 * counts alike. `redis-scripts.ts` implements the same in Lua; a test compares the two.
 */

/** The next stored text, its expiry and the answer. */
export interface Step<T> {
  readonly text: string
  readonly expiresAt: number
  readonly answer: T
}

/**
 * How long a window is kept beyond its end. Only the end of a window decides whether it counts, never the store's
 * clock: with a clock that is ahead, the store would drop a window in which another process still counts.
 */
export const GRACE_MS = 60 * 60 * 1000

/** `until`, then the amount taken. */
type Fixed = readonly [until: number, taken: number]
/** Amounts by bucket index. */
type Sliding = Map<number, number>

/**
 * Executes one `take`. An `until` before the stored one counts into the stored window, so that a clock that goes
 * backwards grants nothing extra.
 */
export function take(stored: string | undefined, request: TakeRequest, now: number): Step<Taken> {
  return 'until' in request.window
    ? takeFixed(stored, request, request.window.until, now)
    : takeSliding(stored, request, request.window.slidingMs, now)
}

function takeFixed(
  stored: string | undefined,
  request: TakeRequest,
  asked: number,
  now: number,
): Step<Taken> {
  const [since, before] = stored === undefined ? [asked, 0] : (JSON.parse(stored) as Fixed)
  const until = Math.max(since, asked)
  // An amount returned to an expired window is no credit for the next one.
  const spend = asked < since ? Math.max(0, request.spend) : request.spend
  const used = Math.max(0, round((until > since ? 0 : before) + spend))
  const granted = grant(request, used)
  const taken = round(used + granted)
  const left = Math.max(0, round(request.limit - taken))
  return {
    text: JSON.stringify([until, taken]),
    expiresAt: Math.max(until, now) + GRACE_MS,
    answer: { granted, left, retryAt: left > 0 ? 0 : until, at: now },
  }
}

function takeSliding(
  stored: string | undefined,
  request: TakeRequest,
  slidingMs: number,
  now: number,
): Step<Taken> {
  const width = Math.max(1, Math.ceil(slidingMs / BUCKETS))
  const current = Math.floor(now / width)
  const buckets: Sliding = new Map()
  let sum = 0
  eachBucket(stored, (key, amount) => {
    // A later bucket exists when the clock went backwards. It counts as taken now, so that it counts no longer than the
    // window lasts.
    const bucket = Math.min(key, current)
    if (endOf(bucket, width, slidingMs) <= now) return
    const before = buckets.get(bucket)
    buckets.set(bucket, before === undefined ? amount : round(before + amount))
    sum += amount
  })
  const { spend } = request
  if (spend < 0) {
    // Only in the bucket where it was taken: other amounts belong to other holders and would stop counting too early.
    const bucket = Math.min(Math.floor((request.takenAt ?? now) / width), current)
    const back = Math.min(buckets.get(bucket) ?? 0, -spend)
    buckets.set(bucket, round((buckets.get(bucket) ?? 0) - back))
    sum -= back
  }
  const used = round(sum + Math.max(0, spend))
  const granted = grant(request, used)
  const added = round(Math.max(0, spend) + granted)
  if (added > 0) buckets.set(current, round((buckets.get(current) ?? 0) + added))
  const left = Math.max(0, round(request.limit - used - granted))
  let text = ''
  let first = Infinity
  let expiresAt = now
  for (const [bucket, amount] of buckets) {
    if (amount <= 0) continue
    const end = endOf(bucket, width, slidingMs)
    if (end < first) first = end
    if (end > expiresAt) expiresAt = end
    text += text === '' ? `"${bucket}":${amount}` : `,"${bucket}":${amount}`
  }
  return {
    text: `{${text}}`,
    expiresAt,
    answer: { granted, left, retryAt: left > 0 ? 0 : first, at: now },
  }
}

/**
 * Reads `{"<bucket>":<amount>,…}`. `JSON.parse` would create an object with sparse indices, which takes twenty times as
 * long.
 */
function eachBucket(stored: string | undefined, take: (bucket: number, amount: number) => void): void {
  if (stored === undefined) return
  for (let at = 1; at < stored.length - 1;) {
    const colon = stored.indexOf(':', at)
    const comma = stored.indexOf(',', colon)
    const end = comma < 0 ? stored.length - 1 : comma
    take(Number(stored.slice(at + 1, colon - 1)), Number(stored.slice(colon + 1, end)))
    at = end + 1
  }
}

/** When the amounts of a bucket stop counting: as if all were taken at its end and used as late as allowed. */
function endOf(bucket: number, width: number, slidingMs: number): number {
  return (bucket + 1) * width + lifeOf(slidingMs) + slidingMs
}

function grant({ limit, want, atLeast }: TakeRequest, used: number): number {
  const most = Math.max(0, Math.min(want, round(limit - used)))
  return most < atLeast ? 0 : most
}

interface Claim {
  readonly permits: number
  readonly until: number
}

/** Executes one `hold`. */
export function hold(stored: string | undefined, request: HoldRequest, now: number): Step<Held> {
  const claims = (stored === undefined ? {} : JSON.parse(stored)) as Readonly<Record<string, Claim>>
  const latest = now + request.ttlMs
  const others = Object.entries(claims)
    .filter(([holder, { until }]) => holder !== request.holder && until > now)
    // A claim that ends later than a new one comes from another clock, for example before a reboot: it lapses as a new
    // one does.
    .map(([holder, { permits, until }]) => [holder, { permits, until: Math.min(until, latest) }] as const)
  const theirs = others.reduce((sum, [, { permits }]) => sum + permits, 0)
  const want = request.renews === true && !isLive(claims[request.holder], now) ? 0 : request.want
  const permits = Math.max(0, Math.min(want, request.limit - theirs))
  const live = permits > 0 ? [...others, [request.holder, { permits, until: latest }] as const] : others
  return {
    text: JSON.stringify(Object.fromEntries(live)),
    expiresAt: Math.max(now, ...live.map(([, { until }]) => until)),
    answer: { permits, left: Math.max(0, request.limit - theirs - permits) },
  }
}

/** Whether the holder's claim in a stored text is live. */
export function isHeld(stored: string | undefined, holder: string, now: number): boolean {
  return stored !== undefined && isLive((JSON.parse(stored) as Record<string, Claim>)[holder], now)
}

function isLive(claim: Claim | undefined, now: number): boolean {
  return claim !== undefined && claim.until > now
}

/** Prevents drift in sums of decimals. */
function round(amount: number): number {
  return Math.round(amount * 1000) / 1000
}

/** A step whose caller waits for its answer. */
export interface WaitingStep {
  /** Runs inside a transaction. The returned function is called after the commit. */
  readonly run: (now: number) => () => void
  readonly reject: (error: unknown) => void
}

/** Runs a step. A step that cannot parse the stored text fails alone. */
export function attempt({ run, reject }: WaitingStep, now: number): () => void {
  try {
    return run(now)
  } catch (error) {
    return () => reject(error)
  }
}
