import { backoffMs } from '../core/backoff.ts'
import { describeError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { Clock } from '../core/clock.ts'
import type { Store } from '../state/store.ts'

const RETRY = { firstMs: 250, mostMs: 5000 }
/** Interval of the log line while the store is unreachable. */
const REMIND_MS = 60_000

/** The store was not asked, or did not answer. */
export class StoreUnavailableError extends Error {
  /** Time until the next try. */
  readonly retryAfterMs: number

  constructor(retryAfterMs: number, cause?: unknown) {
    super('The state of quotas cannot be reached.', { cause })
    this.name = 'StoreUnavailableError'
    this.retryAfterMs = retryAfterMs
  }
}

/** The store answers, but has lost the counts of earlier use. */
export class Uncounted extends StoreUnavailableError {
  constructor(retryAfterMs: number) {
    super(Math.max(1, Math.ceil(retryAfterMs)))
    this.name = 'Uncounted'
  }
}

/** One moment by both clocks. */
interface Moment {
  readonly wall: number
  readonly steady: number
}

/**
 * Whether the store can be reached. After a failure it is not used for a while, so that calls do not wait for it one
 * after the other. Then one call tries again.
 */
export class StoreAvailability {
  failureMode: 'open' | 'closed'
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #store: Pick<Store, 'lostAt'>
  #lostAt: number | undefined
  #lost: Moment | undefined
  /** Attempts that failed since the last one that did not. */
  #failures = 0
  #backoffMs = 0
  #retryAt = -Infinity
  #trying = false
  #remindAt = -Infinity
  /** Requests that passed uncounted or were refused since the store became unreachable. */
  #concerned = 0

  constructor(failureMode: 'open' | 'closed', logger: Logger, clock: Clock, store: Pick<Store, 'lostAt'>) {
    this.failureMode = failureMode
    this.#store = store
    this.#logger = logger
    this.#clock = clock
  }

  /** Whether the last attempt failed. */
  get away(): boolean {
    return this.#failures > 0
  }

  /** The moment before which the use is unknown. `undefined`: all of it is known, or calls may pass uncounted. */
  get lost(): Moment | undefined {
    const { lostAt } = this.#store
    if (lostAt !== this.#lostAt && lostAt !== undefined) this.#lose(lostAt)
    return this.failureMode === 'closed' ? this.#lost : undefined
  }

  #lose(lostAt: number): void {
    this.#lostAt = lostAt
    // A store that reports a loss has answered.
    if (this.away) this.#back()
    const ago = Math.max(0, this.#clock.wall() - lostAt)
    this.#lost = { wall: lostAt, steady: this.#clock.steady() - ago }
    const what =
      this.failureMode === 'open'
        ? 'Counting begins anew'
        : 'Limited calls are refused until the period of their limit ends; a restart of the gateway begins all periods anew'
    this.#logger.error(
      `The state of quotas was lost: what had been used is not known. ${what} ("gateway.quotaFailureMode": "${this.failureMode}").`,
    )
  }

  /** Records that a request was decided without the store. */
  concern(): void {
    if (this.away) this.#concerned++
  }

  /** @throws StoreUnavailableError */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (!this.away) {
      try {
        return await work()
      } catch (error) {
        throw this.#failed(error)
      }
    }
    const now = this.#clock.steady()
    if (this.#trying || now < this.#retryAt)
      throw new StoreUnavailableError(Math.max(100, Math.ceil(this.#retryAt - now)))
    this.#trying = true
    try {
      const result = await work()
      if (this.away) this.#back()
      return result
    } catch (error) {
      throw this.#failed(error)
    } finally {
      this.#trying = false
    }
  }

  #failed(error: unknown): StoreUnavailableError {
    const now = this.#clock.steady()
    // Several concurrent attempts fail for the same reason.
    if (now >= this.#retryAt) {
      this.#backoffMs = backoffMs(this.#failures++, RETRY)
      this.#retryAt = now + this.#backoffMs
    }
    if (now >= this.#remindAt) {
      this.#remindAt = now + REMIND_MS
      const what =
        this.failureMode === 'open' ? 'Calls pass without being counted' : 'Limited calls are refused'
      this.#logger.error(
        `The state of quotas cannot be reached. ${what} ("gateway.quotaFailureMode": "${this.failureMode}").`,
        {
          cause: describeError(error),
          concerned: this.#concerned,
        },
      )
    }
    return new StoreUnavailableError(this.#backoffMs, error)
  }

  #back(): void {
    this.#failures = 0
    this.#retryAt = this.#remindAt = -Infinity
    const what = this.failureMode === 'open' ? 'passed uncounted' : 'were refused'
    this.#logger.info(
      `The state of quotas can be reached again. ${this.#concerned} requests ${what} meanwhile.`,
    )
    this.#concerned = 0
  }
}

/** Ignores the failure of an advance request: it appears at the next call that needs the store. */
export function unheard(asking: Promise<void>): void {
  asking.catch(() => undefined)
}
