import { monotonicNow } from '../core/clock.ts'
import type { Exchange } from '../core/exchange.ts'

/** How long a server may still talk about a call that it was told to drop. */
const TALK_MS = 60_000
const MAX_KEPT = 1000

interface Kept {
  readonly exchange: Exchange
  readonly until: number
}

/**
 * Calls the gateway no longer waits for, but on which the server may still be working: nothing confirms a cancellation. What the server says meanwhile
 * without saying which call it means may be about them, so it must not be taken for that of another client's call.
 */
export class GivenUp {
  readonly #kept = new Map<number, Kept>()

  /** `id` is that of the request to the server. */
  add(id: number, exchange: Exchange): void {
    this.#purge()
    this.#kept.set(id, { exchange, until: monotonicNow() + TALK_MS })
  }

  /** The server has answered after all. */
  answered(id: number): void {
    this.#kept.delete(id)
  }

  /** Oldest first. */
  exchanges(): Exchange[] {
    this.#purge()
    return [...this.#kept.values()].map(({ exchange }) => exchange)
  }

  get any(): boolean {
    this.#purge()
    return this.#kept.size > 0
  }

  #purge(): void {
    const now = monotonicNow()
    // In the order of time, so the first that is still kept ends it.
    for (const [id, { until }] of this.#kept) {
      if (until > now && this.#kept.size < MAX_KEPT) return
      this.#kept.delete(id)
    }
  }
}
