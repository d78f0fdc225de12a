import type { Route } from './route.ts'

/** How a call was answered without an upstream request of its own. */
export type CacheUse = 'hit' | 'stale' | 'coalesced'

/** An outcome whose size is the length of its text, before it is framed for the client. */
interface Sized {
  readonly text: string | Buffer
  readonly head?: string | undefined
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

/**
 * The record of one client request for observers: its route, the decisions about it and the duration of each stage. It
 * has no influence on the request. Each fact has one method that writes it, and one caller of that method. Moments are
 * values of `performance.now()`, 0 while unset.
 */
export class CallTrace {
  /** The route of the request; `undefined` until it is resolved. */
  readonly route: Route | undefined = undefined
  /** Location of the rule that decided, as `RuleConfig.location`. */
  readonly rule: string | undefined = undefined
  /** Location of the rule in shadow mode that would have denied the request. */
  readonly shadowed: string | undefined = undefined
  /** The unavailable server whose fallback served the request. */
  readonly fallbackFrom: string | undefined = undefined
  /** Name of the replica that served it. */
  readonly replica: string | undefined = undefined
  /** How often it was tried again, at another replica or at the same one, after an attempt had failed. */
  readonly repeats: number = 0
  readonly cache: CacheUse | undefined = undefined
  /** Time in the queue, in milliseconds. */
  readonly waitedMs: number = 0
  /** Time spent waiting for the state store, in milliseconds: for a cached result, or for a lease of a quota. */
  readonly storeMs: number = 0
  /** Time spent waiting for a link, in milliseconds: for a server that starts or connects, or for a free slot. */
  readonly linkMs: number = 0
  /**
   * Time in which a server worked on the request, in milliseconds. Time spent waiting for client input is not included.
   */
  readonly upstreamMs: number = 0
  /** When the request was handed to a link: the first attempt on the last route that was tried. */
  readonly sentAt: number = 0
  /** When the last attempt ended. */
  readonly endedAt: number = 0
  /** When the current work of a server began; 0 while no server works on it. */
  #workingSince = 0
  #sized: Sized | undefined = undefined
  #size = 0

  /** The router, or its substitute, has resolved the route. */
  found(route: Route): void {
    ;(this as Writable<CallTrace>).route = route
  }

  /** A rule has decided. */
  decided(rule: string | undefined, shadowed?: string): void {
    const own = this as Writable<CallTrace>
    own.rule = rule
    if (shadowed !== undefined) own.shadowed = shadowed
  }

  /** The fallback of `server` takes it. */
  fellBack(server: string): void {
    ;(this as Writable<CallTrace>).fallbackFrom = server
  }

  /** The request was answered without an upstream request of its own. */
  servedFrom(cache: CacheUse): void {
    ;(this as Writable<CallTrace>).cache = cache
  }

  /** The request waited in the queue for `ms`. */
  waited(ms: number): void {
    ;(this as Writable<CallTrace>).waitedMs += ms
  }

  /** The request waited for the state store for `ms`. */
  waitedForStore(ms: number): void {
    ;(this as Writable<CallTrace>).storeMs += ms
  }

  /** The request waited for a link for `ms`. */
  waitedForLink(ms: number): void {
    ;(this as Writable<CallTrace>).linkMs += ms
  }

  /** The request is handed to the link of this label. Further attempts on the same route continue its time. */
  sent(replica: string, now: number): void {
    const own = this as Writable<CallTrace>
    own.replica = replica
    if (this.sentAt > this.endedAt) return
    own.sentAt = this.#workingSince = now
  }

  /** An attempt has failed, and another one follows. */
  repeated(): void {
    ;(this as Writable<CallTrace>).repeats++
  }

  /** The client is asked for input. */
  paused(now: number): void {
    if (this.#workingSince === 0) return
    ;(this as Writable<CallTrace>).upstreamMs += now - this.#workingSince
    this.#workingSince = 0
  }

  /** The client has answered, and the server continues. */
  resumed(now: number): void {
    this.#workingSince = now
  }

  /** The server has answered, or all attempts have failed. */
  ended(now: number): void {
    this.paused(now)
    if (this.sentAt > this.endedAt) (this as Writable<CallTrace>).endedAt = now
  }

  /** Of two parallel attempts, the one of `other` provided the answer. */
  answeredBy(other: CallTrace): void {
    const own = this as Writable<CallTrace>
    own.replica = other.replica
    own.linkMs = other.linkMs
    if (this.sentAt > this.endedAt || other.sentAt === 0) return
    own.sentAt = other.sentAt
    this.#workingSince = other.#workingSince
  }

  /** The client continues, with its answers, what the request of `earlier` began. */
  continues(earlier: CallTrace): void {
    ;(this as Writable<CallTrace>).replica = earlier.replica
  }

  /** Bytes of an outcome before it is framed for the client. They are counted once per outcome. */
  sizeOf(outcome: Sized): number {
    if (this.#sized !== outcome) {
      const { text, head } = outcome
      const before = head === undefined ? 0 : Buffer.byteLength(head)
      this.#size = before + (typeof text === 'string' ? Buffer.byteLength(text) : text.length)
      this.#sized = outcome
    }
    return this.#size
  }

  /** Releases the outcome. Otherwise a connection whose client does not read would keep it in memory. */
  letGo(): void {
    this.#sized = undefined
  }
}
