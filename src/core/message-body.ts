import { GrowingBuffer } from './growing-buffer.ts'

/** The received part of the body of one request or response. Most bodies arrive in one chunk. */
export class MessageBody {
  readonly #maxBytes: number
  #first: Buffer | undefined
  #rest: GrowingBuffer | undefined

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get size(): number {
    return this.#rest?.size ?? this.#first?.length ?? 0
  }

  /** @returns `false`, without appending, when the body would exceed its maximum size */
  append(chunk: Buffer): boolean {
    if (this.size + chunk.length > this.#maxBytes) return false
    if (this.#first === undefined && this.#rest === undefined) {
      this.#first = chunk
      return true
    }
    if (!this.#rest) {
      this.#rest = new GrowingBuffer(this.#maxBytes)
      if (this.#first) this.#rest.append(this.#first)
      this.#first = undefined
    }
    this.#rest.append(chunk)
    return true
  }

  /** Returns the text of the body and releases its memory. */
  take(): string {
    const text = (this.#rest ?? this.#first ?? '').toString()
    this.clear()
    return text
  }

  clear(): void {
    this.#first = undefined
    this.#rest?.clear()
    this.#rest = undefined
  }
}
