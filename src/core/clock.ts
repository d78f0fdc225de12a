/** Two clocks, in milliseconds. */
export interface Clock {
  /** Since the epoch; what calendar periods begin and end by. May be set. */
  wall(): number
  /** Since some moment; never goes backwards. How long something may still be used is measured by it. */
  steady(): number
  /** What the wall shows at a moment that the steady clock has just shown, for whoever knows one of the two. */
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
