/** A pace is known after one window and covers two; each may be longer by one sampling interval. */
const WINDOW_MS = 10_000

/** The recent rate of a stream, measured over the time in which it was read. */
export class Pace {
  #ms = 0
  #bytes = 0
  #before: { readonly ms: number; readonly bytes: number } | undefined

  /** Adds bytes received within `ms` milliseconds. */
  add(ms: number, bytes: number): void {
    this.#ms += ms
    this.#bytes += bytes
    if (this.#ms < WINDOW_MS) return
    this.#before = { ms: this.#ms, bytes: this.#bytes }
    this.#ms = this.#bytes = 0
  }

  /** Discards all samples. */
  restart(): void {
    this.#before = undefined
    this.#ms = this.#bytes = 0
  }

  /** `undefined` until enough time was measured. */
  get bytesPerSecond(): number | undefined {
    const before = this.#before
    return before && ((before.bytes + this.#bytes) * 1000) / (before.ms + this.#ms)
  }
}
