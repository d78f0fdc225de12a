import { CLOCK } from '../core/clock.ts'
import { describeError } from '../core/errors.ts'
import type { GatewayEvent } from '../core/events.ts'
import type { Logger } from '../core/logger.ts'

export interface EventQueueOptions {
  /** Gets the first failure of `take`; `console` satisfies it. */
  readonly logger: Pick<Logger, 'error'>
  /** Receives events, oldest first. The next batch is delivered when it has resolved. */
  readonly take: (events: readonly GatewayEvent[]) => void | Promise<void>
  /** Maximum number of waiting events. Default: 10,000. */
  readonly maxEvents?: number
  /** Maximum estimated memory of waiting events, in bytes. Default: 8 MiB. */
  readonly maxBytes?: number
}

const MAX_EVENTS = 10_000
const MAX_BYTES = 8 * 1024 * 1024
/** Maximum number of events per delivery. */
const MAX_BATCH = 500
/** Estimated memory of an event without the parameters of its request. */
const EVENT_BYTES = 512
/** A parsed text takes several times its length. */
const BYTES_PER_CHAR = 8

/**
 * Decouples a slow listener from the gateway. Events that arrive while the queue is full are lost and counted;
 * `events.lost` is delivered in their place. When the listener fails, the delivered events are lost, and the failure is
 * logged once.
 */
export class EventQueue {
  readonly #options: EventQueueOptions
  readonly #maxEvents: number
  readonly #maxBytes: number
  #waiting: GatewayEvent[] = []
  #bytes = 0
  /** Lost events that the listener has not been notified of. */
  #untold = 0
  #lost = 0
  #complained = false
  #closed = false
  #taking: Promise<void> | undefined
  /** To be passed to `on` of the gateway. */
  readonly listener: (event: GatewayEvent) => void

  constructor(options: EventQueueOptions) {
    this.#options = options
    this.#maxEvents = options.maxEvents ?? MAX_EVENTS
    this.#maxBytes = options.maxBytes ?? MAX_BYTES
    this.listener = event => this.#add(event)
  }

  /** Number of events that were not delivered, or that the listener failed on. */
  get lost(): number {
    return this.#lost
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /**
   * Accepts no more events. Resolves when the waiting events are delivered; the caller must bound a listener that
   * hangs. Idempotent.
   */
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
    // `events.lost` is queued before the next event, in the position of the lost ones.
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
    // Delivery starts after the turn of the event.
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
