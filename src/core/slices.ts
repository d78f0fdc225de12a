/** How long work may hold up everything else at a time. */
const SLICE_MS = 5

/** Work in parts: between them everything else gets its turn. */
export class Slices {
  #until = performance.now() + SLICE_MS

  /** Whether the work has gone on for long enough. */
  get over(): boolean {
    return performance.now() > this.#until
  }

  /** Resolves when everything else had its turn. */
  async next(): Promise<void> {
    await new Promise(resolve => setImmediate(resolve))
    this.#until = performance.now() + SLICE_MS
  }
}
