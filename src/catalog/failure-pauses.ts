import { backoffMs } from '../core/backoff.ts'
import { monotonicNow } from '../core/clock.ts'

/** Failures in a row that are no reason to wait: one may be chance, and a client that asks again at once means it. */
const FREE = 3
/** However many clients ask, a server that fails is listed for them no more often than `mostMs`. */
const PAUSE = { firstMs: 250, mostMs: 5000 }
/** What is remembered of failures; the oldest is forgotten. */
const MAX_KEYS = 10_000

interface Failed {
  readonly times: number
  readonly until: number
}

/**
 * When a server that could not be listed is tried again because a client asks. Each pause is twice as long as the one before, up to
 * five seconds. What the server itself says, a link that is opened anew, and the gateway's own retries do not wait for it.
 */
export class FailurePauses {
  /** By what was tried: a server, or a server for a kind of client. */
  readonly #failed = new Map<string, Failed>()

  isPaused(key: string): boolean {
    const failed = this.#failed.get(key)
    return failed !== undefined && failed.until > monotonicNow()
  }

  failed(key: string): void {
    const times = (this.#failed.get(key)?.times ?? 0) + 1
    const pauseMs = times < FREE ? 0 : backoffMs(times - FREE, PAUSE)
    this.#failed.delete(key)
    this.#failed.set(key, { times, until: monotonicNow() + pauseMs })
    for (const oldest of this.#failed.keys()) {
      if (this.#failed.size <= MAX_KEYS) break
      this.#failed.delete(oldest)
    }
  }

  listed(key: string): void {
    this.#failed.delete(key)
  }
}
