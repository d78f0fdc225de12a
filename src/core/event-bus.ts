import { describeError } from './errors.ts'
import type { EventOf, EventType, GatewayEvent } from './events.ts'
import type { Logger } from './logger.ts'

/**
 * Hears of events, in the turn in which they happen: it returns soon. What takes time is for a queue (`observe/event-queue.ts`). A failure of it, also of a
 * promise that it returns, stays its own.
 */
export type EventListener<E extends GatewayEvent = GatewayEvent> = (event: E) => void

/** All there are; `satisfies` holds that none is missing. */
const NONE_HEARD = {
  'request.began': false,
  'request.ended': false,
  'quota.refused': false,
  'access.refused': false,
  'attempt.ended': false,
  'session.opened': false,
  'session.closed': false,
  'stream.opened': false,
  'stream.closed': false,
  'link.opened': false,
  'link.lost': false,
  'link.failed': false,
  'replica.ejected': false,
  'replica.returned': false,
  'replica.drained': false,
  'replica.resumed': false,
  'list.changed': false,
  'cache.hit': false,
  'cache.stored': false,
  'cache.invalidated': false,
  'reload.applied': false,
  'reload.refused': false,
  'admin.acted': false,
  'shutdown.began': false,
  'events.lost': false,
} satisfies Record<EventType, boolean>

export const EVENT_TYPES = Object.keys(NONE_HEARD) as readonly EventType[]

/** What a part of the gateway needs in order to tell what happens in it. */
export interface EventSink {
  /** Event → whether anything listens. Read before an event is built. */
  readonly heard: Readonly<Record<EventType, boolean>>
  /** Whether anything listens to requests: one look for the way of every call. */
  readonly hearsRequests: boolean
  /** Tells all listeners, in the order in which they came. Never throws. */
  emit(event: GatewayEvent): void
}

interface Registered {
  readonly listener: EventListener
  failures: number
}

/** Hands events to listeners. It lives as long as a gateway; what one listener does is unknown to the others, and to what it hears of. */
export class EventBus implements EventSink {
  readonly heard: Record<EventType, boolean> = { ...NONE_HEARD }
  hearsRequests = false
  readonly #logger: Logger
  /** Replaced, never changed, so that a listener may come or leave while events are handed out. */
  readonly #listeners = new Map<EventType, readonly Registered[]>()
  #failures = 0

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** Times that a listener has failed. */
  get failures(): number {
    return this.#failures
  }

  /** Hears of one type of event, or with `*` of all, until the returned function is called. Idempotent. */
  on(type: '*', listener: EventListener): () => void
  on<T extends EventType>(type: T, listener: EventListener<EventOf<T>>): () => void
  on(type: EventType | '*', listener: EventListener<never>): () => void {
    const registered = { listener: listener as EventListener, failures: 0 }
    const types = type === '*' ? EVENT_TYPES : [type]
    for (const each of types) this.#set(each, [...this.#of(each), registered])
    return () => {
      for (const each of types)
        this.#set(
          each,
          this.#of(each).filter(other => other !== registered),
        )
    }
  }

  emit(event: GatewayEvent): void {
    for (const registered of this.#of(event.type)) {
      try {
        const pending: unknown = registered.listener(event)
        if (pending instanceof Promise)
          pending.catch((error: unknown) => this.#failed(registered, event, error))
      } catch (error) {
        this.#failed(registered, event, error)
      }
    }
  }

  #of(type: EventType): readonly Registered[] {
    return this.#listeners.get(type) ?? []
  }

  #set(type: EventType, listeners: readonly Registered[]): void {
    this.#listeners.set(type, listeners)
    this.heard[type] = listeners.length > 0
    const { heard } = this
    this.hearsRequests = heard['request.began'] || heard['request.ended'] || heard['quota.refused']
  }

  /** Once for each listener: one that fails at every call would fill the log. */
  #failed(registered: Registered, { type }: GatewayEvent, error: unknown): void {
    this.#failures++
    if (registered.failures++ === 0)
      this.#logger.error('A listener of events has failed; further failures of it are only counted.', {
        event: type,
        cause: describeError(error),
      })
  }
}

/** Tells nothing; where there is no gateway around. */
export const UNHEARD: EventSink = { heard: NONE_HEARD, hearsRequests: false, emit: () => undefined }
