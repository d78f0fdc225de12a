import { backoffMs } from '../core/backoff.ts'
import { monotonicNow } from '../core/clock.ts'

/** First and longest pause before a server that has never been listed is tried again. */
const PAUSE = { firstMs: 1000, mostMs: 5 * 60_000 }

/**
 * Retries servers that have never been listed. Clients list once and then wait for notifications, so they would
 * otherwise not see a server that starts later.
 */
export class Retries {
  readonly #retry: (server: string) => void
  readonly #planned = new Map<
    string,
    { readonly attempts: number; readonly at: number; readonly timer: NodeJS.Timeout }
  >()

  constructor(retry: (server: string) => void) {
    this.#retry = retry
  }

  /** Schedules a retry, not before `notBefore` (by `monotonicNow`): an earlier try would fail at once. */
  later(server: string, notBefore = -Infinity): void {
    const previous = this.#planned.get(server)
    clearTimeout(previous?.timer)
    const attempts = (previous?.attempts ?? 0) + 1
    const pause = backoffMs(attempts - 1, PAUSE)
    // Timers may fire a millisecond early.
    const delay = Math.max(pause, notBefore - monotonicNow() + 2)
    const timer = setTimeout(() => this.#retry(server), delay)
    timer.unref()
    this.#planned.set(server, { attempts, at: monotonicNow() + delay, timer })
  }

  /** Time of the next retry, by `monotonicNow`. `undefined`: none is scheduled, or a try is running. */
  next(server: string): number | undefined {
    const at = this.#planned.get(server)?.at
    return at !== undefined && at > monotonicNow() ? at : undefined
  }

  cancel(server: string): void {
    clearTimeout(this.#planned.get(server)?.timer)
    this.#planned.delete(server)
  }

  close(): void {
    for (const server of this.#planned.keys()) this.cancel(server)
  }
}
