import { describeError } from './errors.ts'
import type { EventOf, EventType, GatewayEvent } from './events.ts'
import type { Logger } from './logger.ts'

/**
 * Receives events synchronously, so it must return quickly; slow work belongs in a queue (`observe/event-queue.ts`). An
 * exception, or a rejection of a returned promise, does not affect the gateway.
 */
export type EventListener<E extends GatewayEvent = GatewayEvent> = (event: E) => void

/** All event types; `satisfies` checks that none is missing. */
const NONE_HEARD = {
  'request.began': false,
  'request.ended': false,
  'quota.refused': false,
  'access.refused': false,
  'access.checked': false,
  'attempt.ended': false,
  'session.opened': false,
  'session.closed': false,
  'stream.opened': false,
  'stream.closed': false,
  'link.opened': false,
  'link.lost': false,
  'link.closed': false,
  'link.failed': false,
  'replica.ejected': false,
  'replica.returned': false,
  'replica.drained': false,
  'replica.resumed': false,
  'list.changed': false,
  'cache.hit': false,
  'cache.stored': false,
  'cache.invalidated': false,
  'credential.login_began': false,
  'credential.login_ended': false,
  'credential.renewed': false,
  'credential.refused': false,
  'reload.applied': false,
  'reload.refused': false,
  'admin.acted': false,
  'shutdown.began': false,
  'events.lost': false,
} satisfies Record<EventType, boolean>

export const EVENT_TYPES = Object.keys(NONE_HEARD) as readonly EventType[]

/** The interface through which a part of the gateway emits events. */
export interface EventSink {
  /** Event type → whether it has a listener. Checked before an event is built. */
  readonly heard: Readonly<Record<EventType, boolean>>
  /** Whether request events have a listener: a single check on the path of every call. */
  readonly hearsRequests: boolean
  /** Calls all listeners in the order in which they were added. Never throws. */
  emit(event: GatewayEvent): void
}

interface Registered {
  readonly listener: EventListener
  /** Whether it is a part of the gateway, which writes to no event. */
  readonly isOwn: boolean
  failures: number
  removed: boolean
}

/**
 * Delivers events to listeners. It lives as long as the gateway. A listener affects neither other listeners nor the
 * emitter.
 */
export class EventBus implements EventSink {
  readonly heard: Record<EventType, boolean> = { ...NONE_HEARD }
  hearsRequests = false
  readonly #logger: Logger
  /** Replaced, never mutated, so that listeners may be added or removed during delivery. */
  readonly #listeners = new Map<EventType, readonly Registered[]>()
  #failures = 0

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** Number of listener failures. */
  get failures(): number {
    return this.#failures
  }

  /**
   * Adds a listener for one event type, or for all with `*`. Returns an idempotent function that removes it, after
   * which it is not called, not even for an event that is being delivered.
   * @throws TypeError for a type that does not exist, or a listener that is no function
   */
  on(type: '*', listener: EventListener): () => void
  on<T extends EventType>(type: T, listener: EventListener<EventOf<T>>): () => void
  on(type: EventType | '*', listener: EventListener<never>): () => void {
    return this.#add(type, listener, false)
  }

  /** As `on`, for parts of the gateway. They write to no event, so an event that only they hear need not be frozen. */
  hear<T extends EventType>(type: T, listener: EventListener<EventOf<T>>): () => void {
    return this.#add(type, listener, true)
  }

  #add(type: EventType | '*', listener: EventListener<never>, isOwn: boolean): () => void {
    const types = type === '*' ? EVENT_TYPES : [type]
    if (type !== '*' && !EVENT_TYPES.includes(type))
      throw new TypeError(
        `There is no event ${JSON.stringify(type)}. There are: *, ${EVENT_TYPES.join(', ')}.`,
      )
    if (typeof listener !== 'function') throw new TypeError(`The listener of ${type} is not a function.`)
    const registered = { listener: listener as EventListener, isOwn, failures: 0, removed: false }
    for (const each of types) this.#set(each, [...this.#of(each), registered])
    return () => {
      registered.removed = true
      for (const each of types)
        this.#set(
          each,
          this.#of(each).filter(other => other !== registered),
        )
    }
  }

  emit(event: GatewayEvent): void {
    const listeners = this.#of(event.type)
    // What one listener would write, the next would read.
    if (!listeners.every(isOwn)) Object.freeze(event)
    for (const registered of listeners) {
      if (registered.removed) continue
      try {
        const pending: unknown = registered.listener(event)
        // A promise of another realm or library is no instance of `Promise` here.
        if (isThenable(pending)) pending.then(undefined, error => this.#failed(registered, event, error))
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

  /** Logged once per listener: a listener that fails on every event would flood the log. */
  #failed(registered: Registered, { type }: GatewayEvent, error: unknown): void {
    this.#failures++
    if (registered.failures++ === 0)
      this.#logger.error('A listener of events has failed; further failures of it are only counted.', {
        event: type,
        cause: describeError(error),
      })
  }
}

function isOwn(registered: Registered): boolean {
  return registered.isOwn
}

function isThenable(
  value: unknown,
): value is { then: (done: undefined, failed: (error: unknown) => void) => unknown } {
  return typeof (value as { readonly then?: unknown } | null | undefined)?.then === 'function'
}

/** A sink without listeners, for use outside a gateway. */
export const UNHEARD: EventSink = { heard: NONE_HEARD, hearsRequests: false, emit: () => undefined }
