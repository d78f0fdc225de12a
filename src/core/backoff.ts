/** Exponential back-off: the one formula for all pauses that double. */

/** Maximum number of doublings, so that the power cannot overflow. Every upper bound is reached long before. */
const MOST_DOUBLINGS = 40

export interface BackoffRange {
  readonly firstMs: number
  readonly mostMs: number
}

/** `firstMs`, doubled `doublings` times, at most `mostMs`. */
export function backoffMs(doublings: number, { firstMs, mostMs }: BackoffRange): number {
  return Math.min(mostMs, firstMs * 2 ** Math.min(doublings, MOST_DOUBLINGS))
}

/**
 * Half of `ms` plus a random part of the other half, so that retries after a common failure are spread out. `random` is
 * from 0 to 1.
 */
export function jittered(ms: number, random: number): number {
  return (ms / 2) * (1 + random)
}
