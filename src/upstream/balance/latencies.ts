const KEPT = 256
/** Fewer samples say nothing about one in twenty. */
const FEWEST = 20
/** Sorting is for one call in so many. */
const SORTED_EVERY = 64

const sorted = new Float64Array(KEPT)

/** The last calls' latencies, in milliseconds. */
export class Latencies {
  readonly #ring = new Float64Array(KEPT)
  #added = 0
  #p95: number | undefined
  #sortedAt = 0

  add(ms: number): void {
    this.#ring[this.#added++ % KEPT] = ms
  }

  /** The 95th percentile of the last 256, as of at most 64 samples ago; `undefined` until there are twenty. */
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
