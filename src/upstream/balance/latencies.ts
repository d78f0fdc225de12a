const KEPT = 256
/** With fewer samples the 95th percentile is meaningless. */
const FEWEST = 20
/** The samples are sorted once per this many calls. */
const SORTED_EVERY = 64

const sorted = new Float64Array(KEPT)

/** Latencies of the last calls, in milliseconds. */
export class Latencies {
  readonly #ring = new Float64Array(KEPT)
  #added = 0
  #p95: number | undefined
  #sortedAt = 0

  add(ms: number): void {
    this.#ring[this.#added++ % KEPT] = ms
  }

  /** The 95th percentile of the last 256 samples, computed at most 64 samples ago. `undefined` below twenty samples. */
  get p95(): number | undefined {
    if (this.#p95 === undefined ? this.#added >= FEWEST : this.#added - this.#sortedAt >= SORTED_EVERY) {
      const count = Math.min(this.#added, KEPT)
      const values = sorted.subarray(0, count)
      values.set(this.#ring.subarray(0, count))
      values.sort()
      this.#p95 = values[Math.ceil(count * 0.95) - 1]
      this.#sortedAt = this.#added
    }
    return this.#p95
  }
}
