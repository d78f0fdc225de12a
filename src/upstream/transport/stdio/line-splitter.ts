import { GrowingBuffer } from '../../../core/growing-buffer.ts'

const NEWLINE = 10
/** Bytes that are kept of each end of a line that is too long. */
const END_BYTES = 512

export interface LineHandler {
  /** A line without its newline: bytes `start` to `end` of `bytes`, valid during the call only. */
  onLine(bytes: Buffer, start: number, end: number): void
  /**
   * A line of `size` bytes that was longer than allowed, or skipped: only its two ends are kept, at most 512 bytes
   * each.
   */
  onLongLine(head: Buffer, tail: Buffer, size: number): void
}

/**
 * Splits a stream of bytes at newlines. Linear in time, and without a copy for lines that arrive whole in a chunk.
 * Never holds more than `maxBytes` of a line.
 */
export class LineSplitter {
  readonly #maxBytes: number
  readonly #handler: LineHandler
  /** The unfinished line. Beyond the limit only its ends are held. */
  readonly #held: GrowingBuffer
  #size = 0
  #long: { readonly head: Buffer; tail: Buffer } | undefined

  constructor(maxBytes: number, handler: LineHandler) {
    this.#maxBytes = maxBytes
    this.#handler = handler
    this.#held = new GrowingBuffer(maxBytes)
  }

  /** Bytes of the unfinished line that are held. */
  get held(): number {
    return this.#held.size
  }

  push(chunk: Buffer): void {
    let start = 0
    for (;;) {
      const newline = chunk.indexOf(NEWLINE, start)
      if (newline === -1) break
      if (this.#size === 0 && newline - start <= this.#maxBytes) this.#handler.onLine(chunk, start, newline)
      else {
        this.#hold(chunk, start, newline)
        this.#finish()
      }
      start = newline + 1
    }
    this.#hold(chunk, start, chunk.length)
  }

  /**
   * Drops the unfinished line, if there is one. The rest of it is not held either. @returns the beginning of the line
   */
  skip(): Buffer {
    if (this.#size === 0) return Buffer.alloc(0)
    if (!this.#long) {
      const line = this.#held.view.subarray(0, this.#size)
      this.#long = {
        head: Buffer.from(line.subarray(0, END_BYTES)),
        tail: Buffer.from(line.subarray(Math.max(0, line.length - END_BYTES))),
      }
      this.#held.clear()
    }
    return this.#long.head
  }

  /** The stream has ended: the rest is a line as well. */
  end(): void {
    if (this.#size > 0) this.#finish()
  }

  #hold(chunk: Buffer, start: number, end: number): void {
    const size = this.#size + end - start
    if (this.#long === undefined && size > this.#maxBytes) {
      const known = Buffer.concat([
        this.#held.view.subarray(0, Math.min(this.#size, END_BYTES)),
        chunk.subarray(start, end),
      ])
      const head = Buffer.from(known.subarray(0, END_BYTES))
      this.#long = {
        head,
        tail: Buffer.from(this.#held.view.subarray(Math.max(0, this.#size - END_BYTES), this.#size)),
      }
      this.#held.clear()
    }
    if (this.#long) {
      const joined = Buffer.concat([this.#long.tail, chunk.subarray(Math.max(start, end - END_BYTES), end)])
      this.#long.tail = joined.subarray(Math.max(0, joined.length - END_BYTES))
    } else if (size > this.#size) this.#held.append(chunk, start, end)
    this.#size = size
  }

  #finish(): void {
    const size = this.#size
    const long = this.#long
    this.#size = 0
    this.#long = undefined
    if (long) this.#handler.onLongLine(long.head, long.tail, size)
    else {
      this.#handler.onLine(this.#held.view, 0, size)
      this.#held.clear()
    }
  }
}
