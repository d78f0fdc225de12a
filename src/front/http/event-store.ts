import { randomBytes } from 'node:crypto'
import type { EventBudget } from './event-budget.ts'

/** Events kept for clients that resume a broken stream (specification 2025-11-25, basic/transports, resumability). */

/** Maximum number of messages for a client whose standalone stream is not open at the moment. */
const MAX_WAITING = 200

/** What one session may keep. */
export interface EventBounds {
  readonly maxEvents: number
  readonly maxEventBytes: number
}

interface Kept {
  readonly stream: number
  readonly sequence: number
  readonly text: string
  readonly bytes: number
}

/**
 * The latest events of one session, bounded by count and size. The oldest are dropped first. An id names the stream of
 * an event, so that a resuming client gets that stream's events only. Messages that wait for the standalone stream are
 * kept within the same bounds.
 */
export class SessionEvents {
  /** Distinguishes the ids of this session from those of others. */
  readonly #tag = randomBytes(4).toString('hex')
  /** The bounds of the configuration in effect. */
  readonly #bounds: () => EventBounds
  readonly #budget: EventBudget | undefined
  /** Principal of the session. */
  readonly principal: string
  readonly #kept: Kept[] = []
  #bytes = 0
  #waiting: { readonly text: string; readonly bytes: number }[] = []
  #waitingBytes = 0
  #sequence = 0

  constructor(bounds: () => EventBounds, principal = '', budget?: EventBudget) {
    this.#bounds = bounds
    this.principal = principal
    this.#budget = budget
  }

  /** Bytes of everything that is kept. */
  get bytes(): number {
    return this.#bytes + this.#waitingBytes
  }

  /**
   * Keeps an event and returns its id. An event larger than the bound is kept only while it is `undelivered` and the
   * latest.
   */
  add(stream: number, text: string, undelivered = false): string {
    const sequence = ++this.#sequence
    const bytes = Buffer.byteLength(text)
    this.#kept.push({ stream, sequence, text, bytes })
    this.#bytes += bytes
    const { maxEvents, maxEventBytes } = this.#bounds()
    while (this.#kept.length > maxEvents || this.#bytes > maxEventBytes) {
      if (undelivered && this.#kept.length === 1 && maxEvents > 0) break
      this.#dropEvent()
    }
    this.#budget?.changed(this)
    return this.#id(stream, sequence)
  }

  /** Keeps a message until the standalone stream is open. */
  wait(text: string): void {
    const bytes = Buffer.byteLength(text)
    this.#waiting.push({ text, bytes })
    this.#waitingBytes += bytes
    const { maxEventBytes } = this.#bounds()
    while (this.#waiting.length > MAX_WAITING || this.#waitingBytes > maxEventBytes) this.#dropWaiting()
    this.#budget?.changed(this)
  }

  /** Removes and returns the waiting messages. */
  takeWaiting(): string[] {
    const texts = this.#waiting.map(({ text }) => text)
    this.#waiting = []
    this.#waitingBytes = 0
    this.#budget?.changed(this)
    return texts
  }

  /** Drops the oldest event, or else the oldest waiting message. */
  shed(): void {
    if (this.#kept.length > 0) this.#dropEvent()
    else this.#dropWaiting()
  }

  /** Drops everything, because the session is over. */
  clear(): void {
    this.#kept.length = 0
    this.#waiting = []
    this.#bytes = this.#waitingBytes = 0
    this.#budget?.changed(this)
  }

  /** Events of the stream after the one with this id, with their ids. `undefined`: the id was never assigned. */
  after(id: string): { stream: number; events: { id: string; text: string }[] } | undefined {
    const match = /^([0-9a-f]+)-(\d{1,15})-(\d{1,15})$/.exec(id)
    if (match?.[1] !== this.#tag) return undefined
    const stream = Number(match[2])
    const sequence = Number(match[3])
    if (sequence > this.#sequence) return undefined
    // The stream of a dropped event cannot be checked any more. Kept events have consecutive numbers.
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
