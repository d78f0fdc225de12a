import { Buffer } from 'node:buffer'

/** A line that readers get, with what they choose it by. */
export interface FollowedLine {
  readonly line: string
}

/** Lines that wait for one reader, and their bytes. */
const MAX_WAITING = 1000
const MAX_WAITING_BYTES = 1024 * 1024
/** Readers that follow at once; each has lines that wait for it. */
export const MAX_FOLLOWERS = 16

/** One reader of lines that are kept and of those that come. A slower one misses the oldest. */
export class Follower<T extends FollowedLine> implements AsyncIterableIterator<string> {
  readonly #isWanted: (record: T) => boolean
  readonly #onStop: () => void
  #waiting: T[] = []
  #bytes = 0
  #ended = false
  #wake: (() => void) | undefined

  constructor(isWanted: (record: T) => boolean, onStop: () => void) {
    this.#isWanted = isWanted
    this.#onStop = onStop
  }

  /** A record that was kept before the reader came: all of these are read. */
  addKept(record: T): void {
    if (!this.#isWanted(record)) return
    this.#waiting.push(record)
    this.#bytes += bytesOf(record)
  }

  add(record: T): void {
    if (this.#ended || !this.#isWanted(record)) return
    this.addKept(record)
    if (this.#waiting.length > MAX_WAITING) this.#take()
    while (this.#bytes > MAX_WAITING_BYTES) this.#take()
    this.#wake?.()
  }

  #take(): T | undefined {
    const oldest = this.#waiting.shift()
    if (oldest) this.#bytes -= bytesOf(oldest)
    return oldest
  }

  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  async next(): Promise<IteratorResult<string, undefined>> {
    for (;;) {
      const oldest = this.#take()
      if (oldest) return { done: false, value: oldest.line }
      if (this.#ended) return { done: true, value: undefined }
      await new Promise<void>(resolve => (this.#wake = resolve))
    }
  }

  return(): Promise<IteratorResult<string, undefined>> {
    this.#waiting = []
    this.#bytes = 0
    this.end()
    this.#onStop()
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}

/** UTF-8 bytes of a line. */
export function bytesOf({ line }: FollowedLine): number {
  return Buffer.byteLength(line)
}
