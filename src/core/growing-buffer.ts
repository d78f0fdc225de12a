/** Up to this size, bytes are kept in ordinary memory, which is cheaper to allocate. */
const ORDINARY_BYTES = 256 * 1024
const FIRST_BYTES = 64 * 1024
/** Minimum step by which pages are added. */
const STEP_BYTES = 1024 * 1024

/**
 * Collects the bytes of one message as they arrive. A large message has its own pages: growth needs no copy, and the
 * pages return to the system as soon as the message is done. Ordinary buffers would stay until the next collection and
 * fragment the heap of the allocator.
 */
export class GrowingBuffer {
  readonly #maxBytes: number
  #size = 0
  #view: Buffer = Buffer.alloc(0)
  #pages: ResizableArrayBuffer | undefined

  /** `maxBytes`: the maximum number of bytes that will be appended. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get size(): number {
    return this.#size
  }

  /** The bytes from 0 to `size`; valid until the next call of `append` or `clear`. */
  get view(): Buffer {
    return this.#view
  }

  append(chunk: Buffer, start = 0, end = chunk.length): void {
    const size = this.#size + end - start
    if (size > this.#view.length) this.#grow(size)
    chunk.copy(this.#view, this.#size, start, end)
    this.#size = size
  }

  /** UTF-8. */
  toString(): string {
    return this.#view.toString('utf8', 0, this.#size)
  }

  clear(): void {
    this.#size = 0
    if (this.#view.length > FIRST_BYTES) this.#view = Buffer.alloc(0)
    this.#pages?.resize(0)
    this.#pages = undefined
  }

  #grow(size: number): void {
    if (size <= ORDINARY_BYTES)
      return this.#moveTo(
        Buffer.allocUnsafe(Math.max(FIRST_BYTES, Math.min(ORDINARY_BYTES, Math.max(size, 2 * this.#size)))),
      )
    const capacity = Math.max(size, Math.min(this.#maxBytes, size + Math.max(STEP_BYTES, size >> 3)))
    if (this.#pages && capacity <= this.#pages.maxByteLength) {
      this.#pages.resize(capacity)
      this.#view = Buffer.from(this.#pages, 0, capacity)
      return
    }
    const pages = new ResizableBuffer(capacity, { maxByteLength: Math.max(capacity, this.#maxBytes) })
    this.#moveTo(Buffer.from(pages, 0, capacity))
    this.#pages?.resize(0)
    this.#pages = pages
  }

  #moveTo(view: Buffer): void {
    this.#view.copy(view, 0, 0, this.#size)
    this.#view = view
  }
}

/** ES2024; TypeScript's library for ES2022 lacks this type. */
interface ResizableArrayBuffer extends ArrayBuffer {
  readonly maxByteLength: number
  resize(bytes: number): void
}

const ResizableBuffer = ArrayBuffer as unknown as new (
  bytes: number,
  options: { maxByteLength: number },
) => ResizableArrayBuffer
