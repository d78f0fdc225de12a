import { CLOCK } from '../core/clock.ts'
import { describeError } from '../core/errors.ts'
import type { GatewayEvent } from '../core/events.ts'
import type { Logger } from '../core/logger.ts'

export interface EventQueueOptions {
  readonly logger: Logger
  /** Takes events, oldest first. The next ones come when it has resolved. */
  readonly take: (events: readonly GatewayEvent[]) => void | Promise<void>
  /** Events that may wait. */
  readonly maxEvents?: number
  /** What the waiting ones may hold, as estimated. */
  readonly maxBytes?: number
}

const MAX_EVENTS = 10_000
const MAX_BYTES = 8 * 1024 * 1024
/** Events that are handed over together. */
const MAX_BATCH = 500
/** What an event holds without the parameters of its request. */
const EVENT_BYTES = 512
/** A parsed text holds several times its length. */
const BYTES_PER_CHAR = 8

/**
 * The queue of a listener that takes its time. What comes when it is full is lost and counted; `events.lost` says so in its place. A failure of the
 * listener costs the events that it was given, and is logged once.
 */
export class EventQueue {
  readonly #options: EventQueueOptions
  readonly #maxEvents: number
  readonly #maxBytes: number
  #waiting: GatewayEvent[] = []
  #bytes = 0
  /** Lost since the listener was last told. */
  #untold = 0
  #lost = 0
  #complained = false
  #closed = false
  #taking: Promise<void> | undefined
  /** To be given to `EventBus.on`. */
  readonly listener: (event: GatewayEvent) => void

  constructor(options: EventQueueOptions) {
    this.#options = options
    this.#maxEvents = options.maxEvents ?? MAX_EVENTS
    this.#maxBytes = options.maxBytes ?? MAX_BYTES
    this.listener = event => this.#add(event)
  }

  /** Events that the listener did not get, or failed on. */
  get lost(): number {
    return this.#lost
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** Takes nothing more. Resolves when the listener has what waits; a listener that hangs is the caller's to bound. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#taking
  }

  #add(event: GatewayEvent): void {
    if (this.#closed) return
    const bytes = weightOf(event)
    if (this.#waiting.length >= this.#maxEvents || this.#bytes + bytes > this.#maxBytes) {
      this.#lost++
      this.#untold++
      return
    }
    // After what was lost comes the word of it, so that it stands where the events would.
    if (this.#untold > 0) this.#tellLost()
    this.#waiting.push(event)
    this.#bytes += bytes
    this.#taking ??= this.#takeAll()
  }

  #tellLost(): void {
    this.#waiting.push({ type: 'events.lost', time: CLOCK.wall(), count: this.#untold })
    this.#untold = 0
  }

  async #takeAll(): Promise<void> {
    // Not in the turn of the event.
    await new Promise(resolve => setImmediate(resolve))
    while (this.#waiting.length > 0 || this.#untold > 0) {
      if (this.#waiting.length === 0) this.#tellLost()
      const events = this.#waiting.splice(0, MAX_BATCH)
      try {
        await this.#options.take(events)
      } catch (error) {
        this.#failed(events.length, error)
      }
      for (const event of events) if (event.type !== 'events.lost') this.#bytes -= weightOf(event)
    }
    this.#taking = undefined
  }

  #failed(count: number, error: unknown): void {
    this.#lost += count
    if (this.#complained) return
    this.#complained = true
    this.#options.logger.error('A listener of events has failed; further failures of it are only counted.', {
      events: count,
      cause: describeError(error),
    })
  }
}

function weightOf(event: GatewayEvent): number {
  if (!('request' in event)) return EVENT_BYTES
  return EVENT_BYTES + BYTES_PER_CHAR * (event.request.params?.text.length ?? 0)
}
