import { processBuffers } from '../core/buffer-limit.ts'
import { HeldBy } from '../core/held-by.ts'
import type { Logger } from '../core/logger.ts'

/** Bound of the bytes that wait for all clients together. A single message on the only connection may be larger. */
export const MAX_BYTES = 128 * 1024 * 1024
/**
 * Bound of the bytes on one stream. Beyond it, the stream takes no more notifications. Answers always wait, because the
 * client requested them.
 */
export const MAX_STREAM_BYTES = 4 * 1024 * 1024
/** Time after which a client that reads nothing is disconnected. */
export const STALLED_MS = 30_000
/** Shorter times for the case that other clients wait for the room. A client that reads nothing for the first time, */
export const SLOW = {
  stalledMs: 5000,
  /** or is behind for the second, is disconnected. */
  behindMs: 10_000,
}

/** The bytes that wait for one client on one connection. */
export interface Backlog {
  readonly principal: string
  readonly bytes: number
  readonly behind: boolean
  readonly movedAt: number
  /** Time at which it fell behind, by `performance.now()`. */
  readonly behindSince: number
  destroy(): void
}

/**
 * Bytes that wait for clients, over all connections of a front. A connection whose client reads nothing for half a
 * minute is closed. When too much waits in total, the connection that has stalled longest is closed, of the client with
 * the most waiting bytes.
 */
export class Backlogs {
  readonly #logger: Logger
  /** Pauses the reading of servers while too much waits for clients. */
  readonly #buffers = processBuffers()
  readonly #behind = new Set<Backlog>()
  /** Bytes by principal. */
  readonly #held = new HeldBy()
  #bytes = 0

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes
  }

  began(outlet: Backlog): void {
    this.#behind.add(outlet)
    this.#buffers.unreadBy(this)
  }

  over(outlet: Backlog): void {
    this.#behind.delete(outlet)
    if (this.#behind.size === 0) this.#buffers.allReadBy(this)
  }

  /** Records that the waiting bytes of an outlet have changed. The bytes added in one call are one message. */
  changed({ principal }: Backlog, bytes: number): void {
    if (bytes !== 0) this.#buffers.waits(principal, bytes)
    this.#bytes += bytes
    this.#held.add(principal, bytes)
    if (bytes > 0) while (this.#bytes > MAX_BYTES && this.#dropOne(bytes));
  }

  sweep(now = performance.now()): void {
    for (const outlet of this.#behind)
      if (outlet.behind && now - outlet.movedAt > STALLED_MS)
        this.drop(outlet, `it has read nothing for ${STALLED_MS / 1000} s`)
  }

  drop(outlet: Backlog, reason: string): void {
    this.#logger.warn('A client that does not read was disconnected.', {
      client: outlet.principal,
      reason,
      unread: outlet.bytes,
    })
    outlet.destroy()
  }

  endLongest(): boolean {
    const now = performance.now()
    const { worst } = this.#worst(
      outlet => now - outlet.movedAt > SLOW.stalledMs || now - outlet.behindSince > SLOW.behindMs,
    )
    if (worst) this.drop(worst, 'what waits for slow clients leaves no room to others')
    return worst !== undefined
  }

  #dropOne(added: number): boolean {
    const { worst, waiting } = this.#worst(() => true)
    // A single message may have any size, but others must not queue up behind it without bound.
    if (!worst || (waiting < 2 && worst.bytes - added <= MAX_BYTES)) return false
    this.drop(worst, `more than ${MAX_BYTES / 1024 / 1024} MiB wait for clients that do not read`)
    return true
  }

  #worst(isMeant: (outlet: Backlog) => boolean): { worst?: Backlog; waiting: number } {
    let worst: Backlog | undefined
    let waiting = 0
    for (const outlet of this.#behind) {
      if (outlet.bytes === 0 || !isMeant(outlet)) continue
      waiting++
      if (!worst || this.#isWorse(outlet, worst)) worst = outlet
    }
    return worst ? { worst, waiting } : { waiting }
  }

  #isWorse(one: Backlog, other: Backlog): boolean {
    const more = this.#held.of(one.principal) - this.#held.of(other.principal)
    return more > 0 || (more === 0 && one.movedAt < other.movedAt)
  }
}
