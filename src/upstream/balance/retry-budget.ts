/** Maximum number of unused retries that are saved up. */
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
  readonly #perSecond: number
  #calls = 0
  #free: number
  #freeAt: number | undefined

  /**
   * @param share retries for each call, 0 to 1
   * @param perSecond minimum rate of retries; 0: only those earned by calls
   */
  constructor(share: number, perSecond = 10) {
    this.#callsForOne = share > 0 ? 1 / share : Infinity
    this.#mostCalls = share > 0 ? MOST_EARNED / share : 0
    this.#perSecond = perSecond
    this.#free = perSecond
  }

  /** Counts a call. Retries are not counted. */
  called(): void {
    if (this.#calls < this.#mostCalls) this.#calls++
  }

  /** Takes one retry from the budget, if one is left. */
  tryRepeat(now: number): boolean {
    const sinceMs = Math.max(0, now - (this.#freeAt ?? now))
    this.#freeAt = Math.max(now, this.#freeAt ?? now)
    this.#free = Math.min(this.#perSecond, this.#free + (sinceMs * this.#perSecond) / 1000)
    if (this.#calls + ROUNDING >= this.#callsForOne) {
      this.#calls -= this.#callsForOne
      return true
    }
    if (this.#free < 1) return false
    this.#free--
    return true
  }
}
