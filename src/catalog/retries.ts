import { backoffMs } from '../core/backoff.ts'
import { monotonicNow } from '../core/clock.ts'

/** First and longest pause before another try. */
const PAUSE = { firstMs: 1000, mostMs: 5 * 60_000 }

/**
 * Retries what has failed, by name, with back-off: servers that have never been listed, and the replacement of views.
 * Clients list once and then wait for notifications, so they would otherwise not see what succeeds later.
 */
export class Retries {
  readonly #retry: (name: string) => void
  readonly #planned = new Map<
    string,
    { readonly attempts: number; readonly at: number; readonly timer: NodeJS.Timeout }
  >()

  constructor(retry: (name: string) => void) {
    this.#retry = retry
  }

  /** Schedules a retry, not before `notBefore` (by `monotonicNow`): an earlier try would fail at once. */
  later(name: string, notBefore = -Infinity): void {
    const previous = this.#planned.get(name)
    clearTimeout(previous?.timer)
    const attempts = (previous?.attempts ?? 0) + 1
    const pause = backoffMs(attempts - 1, PAUSE)
    // Timers may fire a millisecond early.
    const delay = Math.max(pause, notBefore - monotonicNow() + 2)
    const timer = setTimeout(() => this.#retry(name), delay)
    timer.unref()
    this.#planned.set(name, { attempts, at: monotonicNow() + delay, timer })
  }

  /** Time of the next retry, by `monotonicNow`. `undefined`: none is scheduled, or a try is running. */
  next(name: string): number | undefined {
    const at = this.#planned.get(name)?.at
    return at !== undefined && at > monotonicNow() ? at : undefined
  }

  cancel(name: string): void {
    clearTimeout(this.#planned.get(name)?.timer)
    this.#planned.delete(name)
  }

  close(): void {
    for (const name of this.#planned.keys()) this.cancel(name)
  }
}
