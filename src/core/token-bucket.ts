/** A token bucket: a sustained rate per second, and a burst. The caller supplies the clock, in milliseconds. */
export class TokenBucket {
  readonly #burst: number
  readonly #perSecond: number
  #tokens: number
  #filledAt: number | undefined

  /** Starts full. With `perSecond` and `burst` 0, it never grants a token. */
  constructor({ burst, perSecond }: { readonly burst: number; readonly perSecond: number }) {
    this.#burst = burst
    this.#perSecond = perSecond
    this.#tokens = burst
  }

  /** Takes a token, if there is one. A clock that goes backwards adds no tokens twice. */
  tryTake(now: number): boolean {
    const since = this.#filledAt ?? now
    const passedMs = Math.max(0, now - since)
    this.#filledAt = since + passedMs
    this.#tokens = Math.min(this.#burst, this.#tokens + (passedMs * this.#perSecond) / 1000)
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }

  /** Milliseconds until there may be a token again, after `tryTake` at the same time; 0 when there is one. */
  waitMs(): number {
    return this.#tokens >= 1 ? 0 : ((1 - this.#tokens) * 1000) / this.#perSecond
  }
}
