/** Exponential back-off: one formula for each pause that doubles. */

/** A pause is never doubled more often: no power overflows, and each bound is reached long before. */
const MOST_DOUBLINGS = 40

export interface BackoffRange {
  readonly firstMs: number
  readonly mostMs: number
}

/** `firstMs`, doubled `doublings` times, at most `mostMs`. */
export function backoffMs(doublings: number, { firstMs, mostMs }: BackoffRange): number {
  return Math.min(mostMs, firstMs * 2 ** Math.min(doublings, MOST_DOUBLINGS))
}

/** Half of `ms` and a random part of the other half: what failed together does not return together. `random` is from 0 to 1. */
export function jittered(ms: number, random: number): number {
  return (ms / 2) * (1 + random)
}
