import { CLOCK } from '../core/clock.ts'
import type { EventSink } from '../core/event-bus.ts'
import type { ClientTransport } from '../core/exchange.ts'
import type { Principal } from '../core/principal.ts'

/** A stream for messages that answer no request, as it was when it opened. */
export interface ClientStream {
  readonly principal: Principal
  readonly endpoint: string
  /** The session that it belongs to; `undefined` for a modern client. */
  readonly session: { readonly id: string; readonly front?: ClientTransport } | undefined
  /** When it opened, as `performance.now()`. */
  readonly since: number
}

/** Emits events for the streams of clients, over all fronts. */
export class ClientStreams {
  readonly #events: EventSink

  constructor(events: EventSink) {
    this.#events = events
  }

  opened(stream: ClientStream): void {
    if (this.#events.heard['stream.opened'])
      this.#events.emit({ type: 'stream.opened', time: CLOCK.wall(), ...factsOf(stream) })
  }

  closed(stream: ClientStream): void {
    if (!this.#events.heard['stream.closed']) return
    const durationMs = performance.now() - stream.since
    this.#events.emit({ type: 'stream.closed', time: CLOCK.wall(), ...factsOf(stream), durationMs })
  }
}

function factsOf({ principal, endpoint, session }: ClientStream): {
  principal: Principal
  endpoint: string
  era: 'legacy' | 'modern'
  front: ClientTransport | undefined
  session: string | undefined
} {
  const era = session ? 'legacy' : 'modern'
  return { principal, endpoint, era, front: session?.front, session: session?.id.slice(0, 8) }
}
