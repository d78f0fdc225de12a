/** What was measured weighs less and less: 1/e after so long. */
const DECAY_MS = 10_000
/** The average is over about so many samples. */
const AVERAGE_OVER = 16
/** A peak counts as at most so many times the average, because tools of one server differ by more than replicas do. */
const MOST_OF_AVERAGE = 4

/**
 * How busy one replica is: calls in flight, and latency as seen from here. All times are milliseconds of one clock, which the caller
 * hands in. Nothing is allocated.
 */
export class Load {
  /** Calls that began and have not ended. */
  inFlight = 0
  #peakMs = 0
  #logOfAverage = 0
  #samples = 0
  #at = 0

  /** Latency as of the last sample, sensitive to peaks: a slow one raises it at once, faster ones lower it in the course of time. 0: not known. */
  get latencyMs(): number {
    return this.#samples === 0 ? 0 : Math.min(this.#peakMs, MOST_OF_AVERAGE * this.averageMs)
  }

  /** The same at a later moment: what is not measured any more is forgotten, so that a replica that was slow is tried again. */
  latencyAt(now: number): number {
    const idleMs = now - this.#at
    return idleMs > 0 ? this.latencyMs * Math.exp(-idleMs / DECAY_MS) : this.latencyMs
  }

  /** Geometric mean of the last samples, about sixteen: one slow call of a slow tool moves it little. 0: not known. */
  get averageMs(): number {
    return this.#samples === 0 ? 0 : Math.exp(this.#logOfAverage)
  }

  /** How many samples the average is over, since the start or since `startAverage`. */
  get samples(): number {
    return this.#samples
  }

  began(): void {
    this.inFlight++
  }

  /** @param ms how long the call took; `undefined` for one that failed, which says nothing about latency. */
  ended(ms: number | undefined, now: number): void {
    this.inFlight--
    if (ms === undefined) return
    const sinceMs = now - this.#at
    const kept = sinceMs > 0 ? Math.exp(-sinceMs / DECAY_MS) : 1
    this.#peakMs = ms >= this.#peakMs ? ms : this.#peakMs * kept + ms * (1 - kept)
    this.#at = now
    if (this.#samples < AVERAGE_OVER) this.#samples++
    this.#logOfAverage += (Math.log(ms > 1 ? ms : 1) - this.#logOfAverage) / this.#samples
  }

  /** What was measured so far has been judged; the average is over later samples alone. */
  startAverage(): void {
    this.#samples = 0
    this.#logOfAverage = 0
  }
}
