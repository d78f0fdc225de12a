import { Buffer } from 'node:buffer'
import { renderRecord, type LogRecord } from './record.ts'

/** One record as it is shown: a line of JSON without secrets. */
export interface RecentRecord {
  readonly line: string
  /** The server that the record is about. */
  readonly server: string | undefined
}

export interface RecentRecordsLimits {
  readonly maxLines: number
  readonly maxBytes: number
}

const LIMITS: RecentRecordsLimits = { maxLines: 2000, maxBytes: 1024 * 1024 }
/** Lines that wait for one reader, and their bytes. A slower reader misses the oldest. */
const MAX_WAITING = 1000
const MAX_WAITING_BYTES = 1024 * 1024
/** Readers that follow at once; each has lines that wait for it. */
const MAX_FOLLOWERS = 16

/** The last records of the log, redacted, within a bound of lines and bytes. */
export class RecentRecords {
  readonly #limits: RecentRecordsLimits
  #records: RecentRecord[] = []
  #bytes = 0
  readonly #followers = new Set<Follower>()
  #ended = false

  constructor(limits: RecentRecordsLimits = LIMITS) {
    this.#limits = limits
  }

  add(record: LogRecord): void {
    const line = renderRecord(record, 'json')
    const { server } = record.fields
    const recent = { line, server: typeof server === 'string' ? server : undefined }
    this.#records.push(recent)
    this.#bytes += bytesOf(recent)
    while (this.#records.length > this.#limits.maxLines || this.#bytes > this.#limits.maxBytes) {
      const oldest = this.#records.shift()
      if (!oldest) break
      this.#bytes -= bytesOf(oldest)
    }
    for (const follower of this.#followers) follower.add(recent)
  }

  /**
   * The lines of a server, or of all, from the oldest on; with `follow`, also those that come, until the reader stops
   * or the records end. `undefined`: too many readers follow already.
   */
  read(server: string | undefined, follow: boolean): AsyncIterableIterator<string> | undefined {
    const isWanted = (record: RecentRecord): boolean => server === undefined || record.server === server
    const follower = new Follower(isWanted, () => this.#followers.delete(follower))
    for (const record of this.#records) follower.addKept(record)
    if (!follow || this.#ended) follower.end()
    else if (this.#followers.size >= MAX_FOLLOWERS) return undefined
    else this.#followers.add(follower)
    return follower
  }

  /** Ends every reader after the lines that it has not read. Idempotent. */
  end(): void {
    this.#ended = true
    for (const follower of this.#followers) follower.end()
    this.#followers.clear()
  }
}

/** One reader. */
class Follower implements AsyncIterableIterator<string> {
  readonly #isWanted: (record: RecentRecord) => boolean
  readonly #onStop: () => void
  #waiting: RecentRecord[] = []
  #bytes = 0
  #ended = false
  #wake: (() => void) | undefined

  constructor(isWanted: (record: RecentRecord) => boolean, onStop: () => void) {
    this.#isWanted = isWanted
    this.#onStop = onStop
  }

  /** A record that was kept before the reader came: all of these are read. */
  addKept(record: RecentRecord): void {
    if (!this.#isWanted(record)) return
    this.#waiting.push(record)
    this.#bytes += bytesOf(record)
  }

  add(record: RecentRecord): void {
    if (this.#ended || !this.#isWanted(record)) return
    this.addKept(record)
    if (this.#waiting.length > MAX_WAITING) this.#take()
    while (this.#bytes > MAX_WAITING_BYTES) this.#take()
    this.#wake?.()
  }

  #take(): RecentRecord | undefined {
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

function bytesOf({ line }: RecentRecord): number {
  return Buffer.byteLength(line)
}
