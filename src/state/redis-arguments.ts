import { GRACE_MS } from './amounts.ts'
import { assertKey, assertValue, expiryOf } from './entry.ts'
import { BUCKETS, lifeOf, type HeldWrite, type TakeRequest } from './store.ts'

/** What the scripts of Redis get, in their order. */

export function takeArguments(request: TakeRequest): (string | number)[] {
  const { limit, window, want, atLeast, spend, takenAt = '' } = request
  const fixed = 'until' in window
  return [
    limit,
    fixed ? window.until : '',
    fixed ? '' : window.slidingMs,
    BUCKETS,
    want,
    atLeast,
    spend,
    takenAt,
    GRACE_MS,
    fixed ? 0 : lifeOf(window.slidingMs),
  ]
}

/** `now`: time of a test, in which nothing expires by itself. @throws RangeError beyond the bounds */
export function heldWriteArguments(
  { key, value, ttlMs, holder }: HeldWrite,
  now: number | undefined,
): (string | number)[] {
  assertKey(key)
  if (value !== undefined) assertValue(key, value)
  const expiresAt = expiryOf(ttlMs, now ?? 0)
  // Redis refuses a time to live of nothing.
  const isDeleted = value === undefined || expiresAt <= (now ?? 0)
  const livesMs = now !== undefined || expiresAt === Infinity ? '' : Math.ceil(expiresAt)
  const text = now === undefined ? value : `${expiresAt} ${value}`
  return [holder, isDeleted ? 'delete' : 'set', text ?? '', livesMs]
}
