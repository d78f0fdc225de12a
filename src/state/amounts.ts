import type { HoldRequest, Taken, TakeRequest } from './store.ts'

/**
 * The arithmetic of limited amounts, as functions from a stored text to the next one, so that every store that can replace a value atomically counts
 * alike.
 */

/** What is stored next, until when it means anything, and the answer. */
export interface Step<T> {
  readonly text: string
  readonly expiresAt: number
  readonly answer: T
}

/** Parts of a sliding window that are counted together. */
const SLOTS = 60

/** `until`, then the amount taken. */
type Fixed = readonly [until: number, taken: number]
/** Amounts by the index of their slot. */
type Sliding = Readonly<Record<string, number>>

/** One `take`. An earlier `until` than the stored one counts into the stored window, so that a clock that goes backwards opens nothing. */
export function take(stored: string | undefined, request: TakeRequest, now: number): Step<Taken> {
  return 'until' in request.window
    ? takeFixed(stored, request, request.window.until)
    : takeSliding(stored, request, request.window.slidingMs, now)
}

function takeFixed(stored: string | undefined, request: TakeRequest, asked: number): Step<Taken> {
  const [since, before] = stored === undefined ? [asked, 0] : (JSON.parse(stored) as Fixed)
  const until = Math.max(since, asked)
  const used = Math.max(0, round((until > since ? 0 : before) + request.spend))
  const granted = grant(request, used)
  const taken = round(used + granted)
  const left = Math.max(0, round(request.limit - taken))
  return {
    text: JSON.stringify([until, taken]),
    expiresAt: until,
    answer: { granted, left, againAt: left > 0 ? 0 : until },
  }
}

function takeSliding(
  stored: string | undefined,
  request: TakeRequest,
  slidingMs: number,
  now: number,
): Step<Taken> {
  const width = Math.max(1, Math.ceil(slidingMs / SLOTS))
  const slots: Record<string, number> = {}
  let sum = 0
  for (const [slot, amount] of Object.entries((stored === undefined ? {} : JSON.parse(stored)) as Sliding)) {
    if (endOf(slot, width, slidingMs) <= now) continue
    slots[slot] = amount
    sum += amount
  }
  const current = String(Math.floor(now / width))
  let { spend } = request
  // What is given back was taken lately.
  for (const slot of Object.keys(slots).sort((a, b) => Number(b) - Number(a))) {
    if (spend >= 0) break
    const back = Math.min(slots[slot] as number, -spend)
    slots[slot] = round((slots[slot] as number) - back)
    sum -= back
    spend += back
  }
  const used = round(sum + Math.max(0, spend))
  const granted = grant(request, used)
  const added = round(Math.max(0, spend) + granted)
  if (added > 0) slots[current] = round((slots[current] ?? 0) + added)
  const left = Math.max(0, round(request.limit - used - granted))
  const live = Object.keys(slots).filter(slot => (slots[slot] as number) > 0)
  const ends = live.map(slot => endOf(slot, width, slidingMs))
  return {
    text: JSON.stringify(Object.fromEntries(live.map(slot => [slot, slots[slot]]))),
    expiresAt: Math.max(now, ...ends),
    answer: { granted, left, againAt: left > 0 ? 0 : Math.min(...ends) },
  }
}

/** When what was taken in a slot stops counting: as if all of it had been taken at the slot's end. */
function endOf(slot: string, width: number, slidingMs: number): number {
  return (Number(slot) + 1) * width + slidingMs
}

function grant({ limit, want, atLeast }: TakeRequest, used: number): number {
  const most = Math.max(0, Math.min(want, round(limit - used)))
  return most < atLeast ? 0 : most
}

interface Claim {
  readonly places: number
  readonly until: number
}

/** One `hold`. */
export function hold(stored: string | undefined, request: HoldRequest, now: number): Step<number> {
  const claims = (stored === undefined ? {} : JSON.parse(stored)) as Readonly<Record<string, Claim>>
  const others = Object.entries(claims).filter(
    ([holder, { until }]) => holder !== request.holder && until > now,
  )
  const theirs = others.reduce((sum, [, { places }]) => sum + places, 0)
  const places = Math.max(0, Math.min(request.want, request.limit - theirs))
  const live =
    places > 0 ? [...others, [request.holder, { places, until: now + request.ttlMs }] as const] : others
  return {
    text: JSON.stringify(Object.fromEntries(live)),
    expiresAt: Math.max(now, ...live.map(([, { until }]) => until)),
    answer: places,
  }
}

/** Sums of decimals must not drift. */
function round(amount: number): number {
  return Math.round(amount * 1000) / 1000
}
