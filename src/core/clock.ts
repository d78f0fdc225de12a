/** Two clocks, in milliseconds. */
export interface Clock {
  /** Milliseconds since the epoch; the clock of calendar periods. The system may set it. */
  wall(): number
  /** Milliseconds since an arbitrary moment; never goes backwards. The clock of lifetimes. */
  steady(): number
  /** The wall-clock time at a moment just read from the steady clock, for callers that have only one of the two. */
  wallAt(steady: number): number
}

/** Maximum delay after which `wallAt` reflects a change of the system clock. */
const SYNC_MS = 100

/** Reading a clock costs more than most of its uses in a call, so each clock is read as seldom as possible. */
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

/** Wall-clock time at the start of the process, to which the steady clock is added. */
const ORIGIN = performance.timeOrigin

/**
 * Unix milliseconds of a clock that cannot be set: the wall clock at the start of the process, advanced by the steady
 * clock. It measures ages, pauses and deadlines within this process. Times that are displayed, stored for another
 * process or shared with one use the wall clock.
 */
export function monotonicNow(): number {
  return monotonicAt(performance.now())
}

/** The wall-clock time at a moment of `monotonicNow`, for display. Assumes that the clock is not set in between. */
export function wallOf(monotonic: number): number {
  return Math.round(Date.now() + monotonic - monotonicNow())
}

/** The value of `monotonicNow` at a moment of `performance.now()`: where both are needed, the clock is read once. */
export function monotonicAt(moment: number): number {
  return Math.floor(ORIGIN + moment)
}
