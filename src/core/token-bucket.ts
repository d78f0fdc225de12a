/** So many things a second, and a burst of them after a while without any. The clock is the caller's, in milliseconds. */
export class TokenBucket {
  readonly #burst: number
  readonly #perSecond: number
  #tokens: number
  #filledAt: number | undefined

  /** Full at first. `perSecond` and `burst` 0: it gives nothing. */
  constructor({ burst, perSecond }: { readonly burst: number; readonly perSecond: number }) {
    this.#burst = burst
    this.#perSecond = perSecond
    this.#tokens = burst
  }

  /** Takes one, if there is one. A clock that goes backwards fills nothing twice. */
  tryTake(now: number): boolean {
    const since = this.#filledAt ?? now
    const passedMs = Math.max(0, now - since)
    this.#filledAt = since + passedMs
    this.#tokens = Math.min(this.#burst, this.#tokens + (passedMs * this.#perSecond) / 1000)
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }
}
