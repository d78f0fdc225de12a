import { backoffMs } from '../core/backoff.ts'
import { monotonicNow } from '../core/clock.ts'
import { deleteAttemptsOf } from './attempt.ts'

/**
 * Failures in a row that cause no pause: a single failure may be chance, and an immediate retry by a client is
 * deliberate.
 */
const FREE = 3
/** First and longest pause between two listings of a failing server that clients ask for. */
const PAUSE = { firstMs: 250, mostMs: 5000 }
/** Maximum number of recorded failures. The oldest is dropped. */
const MAX_KEYS = 10_000

interface Failed {
  readonly times: number
  readonly until: number
}

/**
 * Decides when a failed server is listed again on request of a client. Each pause is twice as long as the one before,
 * up to five seconds. A notification of the server, a new link and the gateway's own retries ignore the pauses.
 */
export class FailurePauses {
  /** By key of the try: a server, or a server for a kind of client. */
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

  /** Forgets servers that are removed, or whose settings have changed. */
  forget(servers: ReadonlySet<string>): void {
    deleteAttemptsOf(servers, this.#failed)
  }
}
