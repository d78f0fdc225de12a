const NEWLINE = 10
const FIRST_CAPACITY = 64 * 1024
/** A buffer that one large line made grow is not kept for the small ones after it. */
const KEPT_CAPACITY = 1024 * 1024
/** What is kept of the two ends of a line that is too long. */
const END_BYTES = 512

export interface LineHandler {
  /** A line without its newline: bytes `start` to `end` of `bytes`, valid during the call only. */
  onLine(bytes: Buffer, start: number, end: number): void
  /** A line of `size` bytes that was longer than allowed: only its two ends are known, at most 512 bytes each. */
  onLongLine(head: Buffer, tail: Buffer, size: number): void
}

/**
 * Cuts a stream of bytes at newlines. Costs linear time and no copy for lines that come whole in a chunk; never holds more than
 * `maxBytes` of a line.
 */
export class LineSplitter {
  readonly #maxBytes: number
  readonly #handler: LineHandler
  /** The unfinished line: the first `#size` bytes of `#held`; beyond the limit only its ends are held. */
  #held = Buffer.alloc(0)
  #size = 0
  #long: { readonly head: Buffer; tail: Buffer } | undefined

  constructor(maxBytes: number, handler: LineHandler) {
    this.#maxBytes = maxBytes
    this.#handler = handler
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

  /** The stream has ended: what is left is a line as well. */
  end(): void {
    if (this.#size > 0) this.#finish()
  }

  #hold(chunk: Buffer, start: number, end: number): void {
    const size = this.#size + end - start
    if (this.#long === undefined && size > this.#maxBytes) {
      const known = Buffer.concat([
        this.#held.subarray(0, Math.min(this.#size, END_BYTES)),
        chunk.subarray(start, end),
      ])
      const head = Buffer.from(known.subarray(0, END_BYTES))
      this.#long = {
        head,
        tail: Buffer.from(this.#held.subarray(Math.max(0, this.#size - END_BYTES), this.#size)),
      }
      this.#held = Buffer.alloc(0)
    }
    if (this.#long) {
      const joined = Buffer.concat([this.#long.tail, chunk.subarray(Math.max(start, end - END_BYTES), end)])
      this.#long.tail = joined.subarray(Math.max(0, joined.length - END_BYTES))
    } else if (size > this.#size) {
      if (size > this.#held.length) {
        // Doubling keeps the copying linear, whatever the size of the chunks.
        const grown = Buffer.allocUnsafe(
          Math.max(FIRST_CAPACITY, size, Math.min(this.#held.length * 2, this.#maxBytes)),
        )
        this.#held.copy(grown, 0, 0, this.#size)
        this.#held = grown
      }
      chunk.copy(this.#held, this.#size, start, end)
    }
    this.#size = size
  }

  #finish(): void {
    const size = this.#size
    const long = this.#long
    const held = this.#held
    this.#size = 0
    this.#long = undefined
    if (held.length > KEPT_CAPACITY) this.#held = Buffer.alloc(0)
    if (long) this.#handler.onLongLine(long.head, long.tail, size)
    else this.#handler.onLine(held, 0, size)
  }
}
