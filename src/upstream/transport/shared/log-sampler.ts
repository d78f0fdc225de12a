import { monotonicNow } from '../../../core/clock.ts'

/** Lets `limit` events through in each window of `windowMs`, and counts the rest. */
export class LogSampler {
  readonly #limit: number
  readonly #windowMs: number
  #windowStart = -Infinity
  #passed = 0
  #held = 0

  constructor(limit: number, windowMs: number) {
    this.#limit = limit
    this.#windowMs = windowMs
  }

  /** Whether this event passes. If so, `held` is the number of events held back since the last one that passed. */
  next(): { readonly passes: boolean; readonly held: number } {
    const now = monotonicNow()
    if (now - this.#windowStart >= this.#windowMs) {
      this.#windowStart = now
      this.#passed = 0
    }
    if (this.#passed >= this.#limit) {
      this.#held++
      return { passes: false, held: 0 }
    }
    this.#passed++
    const held = this.#held
    this.#held = 0
    return { passes: true, held }
  }
}
