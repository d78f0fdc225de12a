import type { Readable, Writable } from 'node:stream'

export interface StreamPairListener {
  bytes(chunk: Uint8Array): void
  /** The input gives something else than bytes and texts. */
  objects(): void
  /** The client has closed its input. */
  ended(): void
  /** Nothing more can be read or written. */
  left(): void
  /** The output takes more again. */
  drained(): void
}

/**
 * The two streams of a client. They belong to the program, which may have ended or destroyed them before, and may use
 * them afterwards.
 */
export class StreamPair {
  readonly #input: Readable
  readonly #output: Writable
  readonly #listener: StreamPairListener
  readonly #heard: readonly (readonly [Readable | Writable, string, (chunk: unknown) => void])[]

  constructor(input: Readable, output: Writable, listener: StreamPairListener) {
    this.#input = input
    this.#output = output
    this.#listener = listener
    this.#heard = [
      [input, 'data', chunk => this.#take(chunk)],
      [input, 'end', () => listener.ended()],
      // One that is destroyed has no end.
      [input, 'close', () => input.readableEnded || listener.left()],
      [output, 'close', () => listener.left()],
      [output, 'drain', () => listener.drained()],
    ]
  }

  hear(): void {
    const [input, output, listener] = [this.#input, this.#output, this.#listener]
    // Also after the end: a client that dies mid-answer must not end the program.
    for (const stream of [input, output]) stream.on('error', () => listener.left())
    for (const [stream, event, hear] of this.#heard) stream.on(event, hear)
    if (output.destroyed || output.writableEnded || (input.destroyed && !input.readableEnded)) listener.left()
    else if (input.readableEnded) listener.ended()
  }

  /** Hears nothing more, except errors. */
  leave(): void {
    this.#input.pause()
    for (const [stream, event, hear] of this.#heard) stream.off(event, hear)
  }

  #take(chunk: unknown): void {
    // A program may have given its stream an encoding.
    if (typeof chunk === 'string')
      this.#listener.bytes(Buffer.from(chunk, this.#input.readableEncoding ?? 'utf8'))
    else if (chunk instanceof Uint8Array) this.#listener.bytes(chunk)
    else this.#listener.objects()
  }
}
