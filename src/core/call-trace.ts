import type { Route } from './route.ts'

/** How a call was answered without a request of its own. */
export type CacheUse = 'hit' | 'stale' | 'coalesced'

/** What has a size: the text of an outcome, before it is framed for the client. */
interface Sized {
  readonly text: string | Buffer
  readonly head?: string | undefined
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

/**
 * What observers read of one request of a client: where it went, what was decided, how long each stage took. Nothing is decided by it. Each fact has
 * one method that writes it, and one part of the gateway that calls the method. Moments are those of `performance.now()`, 0 before they are known.
 */
export class CallTrace {
  /** Where it went; `undefined` while nothing is found. */
  readonly route: Route | undefined = undefined
  /** Place of the rule that decided, as `RuleConfig.place`. */
  readonly rule: string | undefined = undefined
  /** Place of the rule that would have denied it, if it were not in shadow mode. */
  readonly shadowed: string | undefined = undefined
  /** Server that could not take it, and whose fallback did. */
  readonly fallbackFrom: string | undefined = undefined
  /** Label of the link that served it. */
  readonly replica: string | undefined = undefined
  readonly cache: CacheUse | undefined = undefined
  /** Time in the queue, in milliseconds. */
  readonly waitedMs: number = 0
  /** Time a server worked on it, in milliseconds. The time in which the client is asked something is not part of it. */
  readonly upstreamMs: number = 0
  /** When it was handed to a link: of several ways to a server, the last one; of several attempts on that way, the first one. */
  readonly sentAt: number = 0
  /** When that was over. */
  readonly endedAt: number = 0
  /** Since when a server works on it; 0 while none does. */
  #workingSince = 0
  #sized: Sized | undefined = undefined
  #size = 0

  /** The router, or what stands for it, has found where it goes. */
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

  /** It is answered without a request of its own. */
  servedFrom(cache: CacheUse): void {
    ;(this as Writable<CallTrace>).cache = cache
  }

  /** It has been in the queue for so long. */
  waited(ms: number): void {
    ;(this as Writable<CallTrace>).waitedMs += ms
  }

  /** It is handed to the link of this label. Further attempts on the same way go on with its time. */
  sent(replica: string, now: number): void {
    const own = this as Writable<CallTrace>
    own.replica = replica
    if (this.sentAt > this.endedAt) return
    own.sentAt = this.#workingSince = now
  }

  /** Its client is being asked something. */
  paused(now: number): void {
    if (this.#workingSince === 0) return
    ;(this as Writable<CallTrace>).upstreamMs += now - this.#workingSince
    this.#workingSince = 0
  }

  /** Its client has answered, and the server goes on. */
  resumed(now: number): void {
    this.#workingSince = now
  }

  /** The server has answered, or no attempt at it is left. */
  ended(now: number): void {
    this.paused(now)
    if (this.sentAt > this.endedAt) (this as Writable<CallTrace>).endedAt = now
  }

  /** Of two attempts beside each other, the one of `other` is the answer. */
  answeredBy(other: CallTrace): void {
    const own = this as Writable<CallTrace>
    own.replica = other.replica
    if (this.sentAt > this.endedAt || other.sentAt === 0) return
    own.sentAt = other.sentAt
    this.#workingSince = other.#workingSince
  }

  /** It goes on with what the request of `earlier` began: its client comes back with answers. */
  continues(earlier: CallTrace): void {
    ;(this as Writable<CallTrace>).replica = earlier.replica
  }

  /** Bytes of an outcome before it is framed for the client. They are counted once for each outcome. */
  sizeOf(outcome: Sized): number {
    if (this.#sized !== outcome) {
      const { text, head } = outcome
      const before = head === undefined ? 0 : Buffer.byteLength(head)
      this.#size = before + (typeof text === 'string' ? Buffer.byteLength(text) : text.length)
      this.#sized = outcome
    }
    return this.#size
  }

  /** Lets go of the outcome, which a connection whose client does not read would hold. */
  letGo(): void {
    this.#sized = undefined
  }
}
