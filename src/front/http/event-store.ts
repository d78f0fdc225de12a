import { randomBytes } from 'node:crypto'
import type { EventBudget } from './event-budget.ts'

/** Events kept for clients that resume a broken stream (specification 2025-11-25, basic/transports, resumability). */

/** Messages kept for a client whose standalone stream is not open at the moment. */
const MAX_WAITING = 200

interface Kept {
  readonly stream: number
  readonly sequence: number
  readonly text: string
  readonly bytes: number
}

/**
 * The latest events of one session, bounded by count and size; the oldest go first. An id says which stream an event belongs to, so that a
 * resuming client gets that stream's events and no others. Beside them, what waits for the session's own stream, within the same bounds.
 */
export class SessionEvents {
  /** Tells this session's ids from those of any other. */
  readonly #tag = randomBytes(4).toString('hex')
  readonly #maxEvents: number
  readonly #maxBytes: number
  readonly #budget: EventBudget | undefined
  /** Whose session it is. */
  readonly principal: string
  readonly #kept: Kept[] = []
  #bytes = 0
  #waiting: { readonly text: string; readonly bytes: number }[] = []
  #waitingBytes = 0
  #sequence = 0

  constructor(maxEvents: number, maxBytes: number, principal = '', budget?: EventBudget) {
    this.#maxEvents = maxEvents
    this.#maxBytes = maxBytes
    this.principal = principal
    this.#budget = budget
  }

  /** Bytes of everything that is kept. */
  get bytes(): number {
    return this.#bytes + this.#waitingBytes
  }

  /** Keeps an event and returns its id. One that is larger than the bound stays only while it is `undelivered` and the latest. */
  add(stream: number, text: string, undelivered = false): string {
    const sequence = ++this.#sequence
    const bytes = Buffer.byteLength(text)
    this.#kept.push({ stream, sequence, text, bytes })
    this.#bytes += bytes
    while (this.#kept.length > this.#maxEvents || this.#bytes > this.#maxBytes) {
      if (undelivered && this.#kept.length === 1 && this.#maxEvents > 0) break
      this.#dropEvent()
    }
    this.#budget?.changed(this)
    return this.#id(stream, sequence)
  }

  /** Keeps a message until there is a stream for it. */
  wait(text: string): void {
    const bytes = Buffer.byteLength(text)
    this.#waiting.push({ text, bytes })
    this.#waitingBytes += bytes
    while (this.#waiting.length > MAX_WAITING || this.#waitingBytes > this.#maxBytes) this.#dropWaiting()
    this.#budget?.changed(this)
  }

  /** What waited, which is kept here no longer. */
  takeWaiting(): string[] {
    const texts = this.#waiting.map(({ text }) => text)
    this.#waiting = []
    this.#waitingBytes = 0
    this.#budget?.changed(this)
    return texts
  }

  /** Drops the oldest event, or what has waited longest where there is none. */
  shed(): void {
    if (this.#kept.length > 0) this.#dropEvent()
    else this.#dropWaiting()
  }

  /** The session is over. */
  clear(): void {
    this.#kept.length = 0
    this.#waiting = []
    this.#bytes = this.#waitingBytes = 0
    this.#budget?.changed(this)
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

  #dropEvent(): void {
    this.#bytes -= this.#kept.shift()?.bytes ?? 0
  }

  #dropWaiting(): void {
    this.#waitingBytes -= this.#waiting.shift()?.bytes ?? 0
  }

  #id(stream: number, sequence: number): string {
    return `${this.#tag}-${stream}-${sequence}`
  }
}
