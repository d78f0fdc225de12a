import { fstatSync, writeSync } from 'node:fs'
import { Writable } from 'node:stream'

export interface LogFileOptions {
  /** Writes at the end of the file and says how many bytes; throws when there is no room. */
  readonly append: (bytes: Buffer) => number
  /** The line that stands for `count` records that were lost. */
  readonly lost: (count: number) => string
}

const NEWLINE = 10

/**
 * The way of records into a regular file. A stream of Node ends with its first error; here a full disk costs the records
 * that find no room, and those that come after are written again.
 */
export class LogFile extends Writable {
  readonly #options: LogFileOptions
  #lost = 0
  /** The file ends in the middle of a line. */
  #torn = false

  constructor(options: LogFileOptions) {
    super()
    this.#options = options
  }

  override _write(record: Buffer, _encoding: string, done: () => void): void {
    if (record.length > 0) this.#append(record)
    done()
  }

  #append(record: Buffer): void {
    const { append, lost } = this.#options
    const before = (this.#torn ? '\n' : '') + (this.#lost > 0 ? `${lost(this.#lost)}\n` : '')
    const bytes = before === '' ? record : Buffer.concat([Buffer.from(before), record])
    try {
      const written = append(bytes)
      if (written > 0) this.#torn = bytes[written - 1] !== NEWLINE
      this.#lost = written === bytes.length ? 0 : this.#lost + 1
    } catch {
      this.#lost++
    }
  }
}

/** How to append to what is open as `fd`; `undefined` when that is no regular file. */
export function appendToFd(fd: number): LogFileOptions['append'] | undefined {
  try {
    return fstatSync(fd).isFile() ? bytes => writeSync(fd, bytes) : undefined
  } catch {
    return undefined
  }
}
