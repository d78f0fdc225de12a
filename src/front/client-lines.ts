/** Puts the input of a client together to lines. A line with more bytes than the most is dropped. */
export class ClientLines {
  /** Maximum number of bytes of a line. */
  maxBytes: number
  readonly #onLine: (line: string) => void
  readonly #onTooLong: () => void
  #parts: Uint8Array[] = []
  #bytes = 0
  #skipping = false
  #ended = false

  /** `onTooLong` is called once for each line that is dropped. */
  constructor(maxBytes: number, onLine: (line: string) => void, onTooLong: () => void) {
    this.maxBytes = maxBytes
    this.#onLine = onLine
    this.#onTooLong = onTooLong
  }

  take(chunk: Uint8Array): void {
    let from = 0
    for (let end = chunk.indexOf(10); end >= 0 && !this.#ended; end = chunk.indexOf(10, from)) {
      this.#parts.push(chunk.subarray(from, end))
      from = end + 1
      const line = this.#skipping ? undefined : Buffer.concat(this.#parts).toString('utf8')
      this.#parts = []
      this.#bytes = 0
      this.#skipping = false
      if (line !== undefined && line.trim() !== '') this.#onLine(line)
    }
    if (from === chunk.length || this.#ended) return
    this.#bytes += chunk.length - from
    if (this.#skipping) return
    if (this.#bytes > this.maxBytes) {
      this.#skipping = true
      this.#parts = []
      this.#onTooLong()
    } else this.#parts.push(chunk.subarray(from))
  }

  /** Hands no line on any more, also of a chunk that is being taken. */
  end(): void {
    this.#ended = true
    this.#parts = []
  }
}
