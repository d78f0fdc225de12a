import { Slices } from './slices.ts'

/**
 * Starts work in the order in which it was added. Of much that is due at once, one turn of the event loop starts only
 * what fits into a slice. The first start is immediate. Nothing waits for the end of what was started.
 */
export class PacedStarts<T> {
  readonly #start: (item: T) => void
  readonly #waiting = new Set<T>()
  #isStarting = false

  /** @param start does not throw */
  constructor(start: (item: T) => void) {
    this.#start = start
  }

  /** An item that waits already is started once. */
  add(item: T): void {
    this.#waiting.add(item)
    if (!this.#isStarting) void this.#run()
  }

  async #run(): Promise<void> {
    this.#isStarting = true
    const slices = new Slices()
    while (this.#waiting.size > 0) {
      for (const item of this.#waiting) {
        if (slices.over) await slices.next()
        this.#waiting.delete(item)
        this.#start(item)
      }
      // What is added in the same turn shares its slice.
      await slices.next()
    }
    this.#isStarting = false
  }
}
