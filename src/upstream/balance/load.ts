/** Time after which the weight of a sample has decayed to 1/e. */
const DECAY_MS = 10_000
/** Approximate number of samples in the average. */
const AVERAGE_OVER = 16
/** A peak counts as at most this many times the average, because tools of one server differ more than replicas do. */
const MOST_OF_AVERAGE = 4

/**
 * Load of one replica: calls in flight, and latency as measured by the gateway. All times are milliseconds of one
 * clock, passed by the caller. Nothing is allocated.
 */
export class Load {
  /** Calls that began and have not ended. */
  inFlight = 0
  #peakMs = 0
  #logOfAverage = 0
  #samples = 0
  #at = 0

  /**
   * Latency at the last sample, sensitive to peaks: a slow call raises it at once, faster ones lower it gradually. 0:
   * not known.
   */
  get latencyMs(): number {
    return this.#samples === 0 ? 0 : Math.min(this.#peakMs, MOST_OF_AVERAGE * this.averageMs)
  }

  /** The latency at a later time. It decays without samples, so that a replica that was slow is tried again. */
  latencyAt(now: number): number {
    const idleMs = now - this.#at
    return idleMs > 0 ? this.latencyMs * Math.exp(-idleMs / DECAY_MS) : this.latencyMs
  }

  /** Geometric mean of about the last sixteen samples. One slow call of a slow tool changes it little. 0: not known. */
  get averageMs(): number {
    return this.#samples === 0 ? 0 : Math.exp(this.#logOfAverage)
  }

  /** Number of samples in the average, since the start or since `startAverage`. */
  get samples(): number {
    return this.#samples
  }

  began(): void {
    this.inFlight++
  }

  /** @param ms duration of the call; `undefined` for a failed call, which is no latency sample */
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

  /** Restarts the average with later samples, because the earlier ones have been evaluated. */
  startAverage(): void {
    this.#samples = 0
    this.#logOfAverage = 0
  }
}
