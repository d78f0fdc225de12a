import { fstatSync, writeSync } from 'node:fs'
import { Writable } from 'node:stream'

export interface LogFileOptions {
  /** Appends to the file and returns the number of bytes written; throws when the disk is full. */
  readonly append: (bytes: Buffer) => number
  /** The line that replaces `count` lost records. */
  readonly lost: (count: number) => string
}

const NEWLINE = 10

/**
 * Writes records to a regular file. A Node stream ends with its first error; here, a full disk loses only the records
 * that do not fit, and writing continues afterwards.
 */
export class LogFile extends Writable {
  readonly #options: LogFileOptions
  #lost = 0
  /** Whether the file ends with a partial line. */
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

/** Returns how to append to the file open as `fd`; `undefined` when it is not a regular file. */
export function appendToFd(fd: number): LogFileOptions['append'] | undefined {
  try {
    return fstatSync(fd).isFile() ? bytes => writeSync(fd, bytes) : undefined
  } catch {
    return undefined
  }
}
