import type { Clock } from '../../../src/core/clock.ts'
import type { EndOf } from '../../../src/quota/period.ts'

/** Both clocks, moved by a test alone. */
export class TestClock implements Clock {
  at = 1_700_000_000_000
  /** How far the wall is set off. */
  offset = 0

  wall(): number {
    return this.at + this.offset
  }

  steady(): number {
    return this.at - 1_700_000_000_000
  }

  wallAt(): number {
    return this.wall()
  }
}

/** Periods of a minute. */
export const minutes: EndOf = now => now + 60_000 - (now % 60_000)
