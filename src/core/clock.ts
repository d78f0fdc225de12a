/** Two clocks, in milliseconds. */
export interface Clock {
  /** Since the epoch; what calendar periods begin and end by. May be set. */
  wall(): number
  /** Since some moment; never goes backwards. How long something may still be used is measured by it. */
  steady(): number
  /** What the wall shows at a moment that the steady clock has just shown, for a caller that knows one of the two. */
  wallAt(steady: number): number
}

/** How long it may take until a wall clock that was set is noticed by `wallAt`. */
const SYNC_MS = 100

/** Reading a clock costs more than most of what a call needs it for, so each is read as seldom as that is possible. */
class SystemClock implements Clock {
  #ahead = 0
  #syncedAt = -Infinity

  wall(): number {
    return Date.now()
  }

  steady(): number {
    return performance.now()
  }

  wallAt(steady: number): number {
    if (steady - this.#syncedAt >= SYNC_MS) {
      this.#syncedAt = performance.now()
      this.#ahead = Date.now() - this.#syncedAt
    }
    return steady + this.#ahead
  }
}

export const CLOCK: Clock = new SystemClock()

/** What the wall showed when the process began, to which the steady clock is added. */
const ORIGIN = performance.timeOrigin

/**
 * Unix milliseconds by a clock that cannot be set: the wall's at the start of the process, moved on by the steady clock. Ages, pauses and deadlines inside
 * this process are measured by it. What is shown to people, kept for another process or agreed with one is told by the wall.
 */
export function monotonicNow(): number {
  return monotonicAt(performance.now())
}

/** What the wall shows at a moment of `monotonicNow`, if it is not set meanwhile. For what is shown. */
export function wallOf(monotonic: number): number {
  return Math.round(Date.now() + monotonic - monotonicNow())
}

/** What `monotonicNow` gives at a moment of `performance.now()`: where both are needed, the clock is read once. */
export function monotonicAt(moment: number): number {
  return Math.floor(ORIGIN + moment)
}
