import { pieceEnd } from '../../../core/text-pieces.ts'

/**
 * Encodes a large text piece by piece as it is written. A single buffer would stay in memory beside the text until all
 * of it is sent, and the allocator keeps the memory of such buffers. The text is released at the end, since undici
 * keeps finished requests, and their bodies, in a queue that it rarely cleans.
 */
export class Pieces implements AsyncIterableIterator<Buffer> {
  #text: string
  #start = 0

  constructor(text: string) {
    this.#text = text
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<Buffer>> {
    const start = this.#start
    if (start >= this.#text.length) return this.return()
    this.#start = pieceEnd(this.#text, start)
    return Promise.resolve({ done: false, value: Buffer.from(this.#text.slice(start, this.#start)) })
  }

  return(): Promise<IteratorResult<Buffer>> {
    this.#text = ''
    return Promise.resolve({ done: true, value: undefined })
  }
}
