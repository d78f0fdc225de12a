import { randomBytes } from 'node:crypto'

/** Events kept for clients that resume a broken stream (specification 2025-11-25, basic/transports, resumability). */

interface Kept {
  readonly stream: number
  readonly sequence: number
  readonly text: string
  readonly bytes: number
}

/**
 * The latest events of one session, bounded by count and size; the oldest go first. An id says which stream an event belongs to, so that a
 * resuming client gets that stream's events and no others.
 */
export class SessionEvents {
  /** Tells this session's ids from those of any other. */
  readonly #tag = randomBytes(4).toString('hex')
  readonly #maxEvents: number
  readonly #maxBytes: number
  readonly #kept: Kept[] = []
  #bytes = 0
  #sequence = 0

  constructor(maxEvents: number, maxBytes: number) {
    this.#maxEvents = maxEvents
    this.#maxBytes = maxBytes
  }

  /** Keeps an event and returns its id. */
  add(stream: number, text: string): string {
    const sequence = ++this.#sequence
    const bytes = Buffer.byteLength(text)
    this.#kept.push({ stream, sequence, text, bytes })
    this.#bytes += bytes
    while (this.#kept.length > this.#maxEvents || (this.#bytes > this.#maxBytes && this.#kept.length > 1)) {
      const dropped = this.#kept.shift()
      if (dropped) this.#bytes -= dropped.bytes
    }
    return this.#id(stream, sequence)
  }

  /** Events of the stream after the one with this id, with their ids; `undefined` for an id that was never given out. */
  after(id: string): { stream: number; events: { id: string; text: string }[] } | undefined {
    const match = /^([0-9a-f]+)-(\d{1,15})-(\d{1,15})$/.exec(id)
    if (match?.[1] !== this.#tag) return undefined
    const stream = Number(match[2])
    const sequence = Number(match[3])
    if (sequence > this.#sequence) return undefined
    // What has been dropped cannot be checked any more; what is kept, without a gap, can.
    const known = this.#kept[sequence - (this.#kept[0]?.sequence ?? 0)]
    if (known && known.stream !== stream) return undefined
    const events = this.#kept
      .filter(kept => kept.stream === stream && kept.sequence > sequence && kept.text !== '')
      .map(kept => ({ id: this.#id(stream, kept.sequence), text: kept.text }))
    return { stream, events }
  }

  #id(stream: number, sequence: number): string {
    return `${this.#tag}-${stream}-${sequence}`
  }
}
