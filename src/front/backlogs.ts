import { processBuffers } from '../core/buffer-limit.ts'
import { HeldBy } from '../core/held-by.ts'
import type { Logger } from '../core/logger.ts'

/** What waits for all clients together that do not read what they are sent. One message on the only connection may be larger. */
export const MAX_BYTES = 128 * 1024 * 1024
/** What may wait on one stream before it takes no more notifications. Answers, which were asked for, always wait. */
export const MAX_STREAM_BYTES = 4 * 1024 * 1024
/** A client that takes nothing for so long has gone, or never reads. */
export const STALLED_MS = 30_000
/** Where others wait for the room that it takes, a client reads too slowly that takes nothing for so long, */
export const SLOW = {
  stalledMs: 5000,
  /** or is behind for so long. */
  behindMs: 10_000,
}

/** What waits for one client on one connection. */
export interface Backlog {
  readonly principal: string
  readonly bytes: number
  readonly behind: boolean
  readonly movedAt: number
  /** Since when it is behind, by `performance.now()`. */
  readonly behindSince: number
  destroy(): void
}

/**
 * What waits for clients, over all connections of a front. A connection whose client reads nothing for half a minute ends; so does, when too much waits in
 * all, the one that has stood still longest of the client that has most waiting.
 */
export class Backlogs {
  readonly #logger: Logger
  /** Servers wait for what clients do not read. */
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

  /** More waits on an outlet than before, or less. What is added at once is one message. */
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
    // A message that is alone may be as large as it is; others are not put behind it without end.
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
