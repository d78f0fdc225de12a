/** A pace is known after so long, and covers two such windows; each may be one look longer. */
const WINDOW_MS = 10_000

/** How fast something came lately, counted over the time in which it was read. */
export class Pace {
  #ms = 0
  #bytes = 0
  #before: { readonly ms: number; readonly bytes: number } | undefined

  /** So many bytes came in so many milliseconds. */
  add(ms: number, bytes: number): void {
    this.#ms += ms
    this.#bytes += bytes
    if (this.#ms < WINDOW_MS) return
    this.#before = { ms: this.#ms, bytes: this.#bytes }
    this.#ms = this.#bytes = 0
  }

  /** Forgets what came. */
  restart(): void {
    this.#before = undefined
    this.#ms = this.#bytes = 0
  }

  /** `undefined` while too little time was counted. */
  get bytesPerSecond(): number | undefined {
    const before = this.#before
    return before && ((before.bytes + this.#bytes) * 1000) / (before.ms + this.#ms)
  }
}
