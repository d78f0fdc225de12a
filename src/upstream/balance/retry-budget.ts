import { TokenBucket } from '../../core/token-bucket.ts'

/** Repeats that calls have earned and nobody took: no more than so many are kept. */
const MOST_EARNED = 100
/** In calls: three times 1 / 0.3 is a hair above ten. */
const ROUNDING = 1e-6

/**
 * How many calls may be made once more, so that a failing server does not get its load multiplied: a share of its calls, and some in any
 * case, for servers that have few. Never more than `share * calls + perSecond * (seconds + 1)`.
 */
export class RetryBudget {
  readonly #callsForOne: number
  readonly #mostCalls: number
  /** Repeats in any case. */
  readonly #free: TokenBucket
  #calls = 0

  /**
   * @param share repeats for each call, 0 to 1.
   * @param perSecond repeats in any case; 0: none but those that calls have earned.
   */
  constructor(share: number, perSecond = 10) {
    this.#callsForOne = share > 0 ? 1 / share : Infinity
    this.#mostCalls = share > 0 ? MOST_EARNED / share : 0
    this.#free = new TokenBucket({ burst: perSecond, perSecond })
  }

  /** A call began; repeats of it are not told. */
  called(): void {
    if (this.#calls < this.#mostCalls) this.#calls++
  }

  /** Takes one repeat, if there is one. */
  tryRepeat(now: number): boolean {
    if (this.#calls + ROUNDING >= this.#callsForOne) {
      this.#calls -= this.#callsForOne
      return true
    }
    return this.#free.tryTake(now)
  }
}
