import { TokenBucket } from '../../core/token-bucket.ts'

/** Repeats that calls have earned and no call has used: no more than so many are kept. */
const MOST_EARNED = 100
/** Tolerance, in calls: three times 1 / 0.3 is slightly above ten. */
const ROUNDING = 1e-6

/**
 * Bounds the retries of a server, so that a failing server does not get a multiple of its load: a share of its calls,
 * and a minimum rate for servers with few calls. Never more than `share * calls + perSecond * (seconds + 1)`.
 */
export class RetryBudget {
  readonly #callsForOne: number
  readonly #mostCalls: number
  /** Repeats in any case. */
  readonly #free: TokenBucket
  #calls = 0

  /**
   * @param share retries for each call, 0 to 1
   * @param perSecond minimum rate of retries; 0: only those earned by calls
   */
  constructor(share: number, perSecond = 10) {
    this.#callsForOne = share > 0 ? 1 / share : Infinity
    this.#mostCalls = share > 0 ? MOST_EARNED / share : 0
    this.#free = new TokenBucket({ burst: perSecond, perSecond })
  }

  /** Counts a call. Retries are not counted. */
  called(): void {
    if (this.#calls < this.#mostCalls) this.#calls++
  }

  /** Takes one retry from the budget, if one is left. */
  tryRepeat(now: number): boolean {
    if (this.#calls + ROUNDING >= this.#callsForOne) {
      this.#calls -= this.#callsForOne
      return true
    }
    return this.#free.tryTake(now)
  }
}
