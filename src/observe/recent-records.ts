import { bytesOf, Follower, MAX_FOLLOWERS } from './follower.ts'
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
/** The last records of the log, redacted, within a bound of lines and bytes. */
export class RecentRecords {
  readonly #limits: RecentRecordsLimits
  #records: RecentRecord[] = []
  #bytes = 0
  readonly #followers = new Set<Follower<RecentRecord>>()
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
    const follower: Follower<RecentRecord> = new Follower(isWanted, () => this.#followers.delete(follower))
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
