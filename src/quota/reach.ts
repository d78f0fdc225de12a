import { describeError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { Clock } from '../core/clock.ts'

const MIN_BACKOFF_MS = 250
const MAX_BACKOFF_MS = 5000
/** How often the log says that the store is still away. */
const REMIND_MS = 60_000

/** The store was not asked, or did not answer. */
export class Unreachable extends Error {
  /** When it is tried again. */
  readonly retryAfterMs: number

  constructor(retryAfterMs: number, cause?: unknown) {
    super('The state of quotas cannot be reached.', { cause })
    this.name = 'Unreachable'
    this.retryAfterMs = retryAfterMs
  }
}

/**
 * Whether the store can be reached. After a failure it is left alone for a while, so that calls do not wait for it one after the other; then one call
 * tries again.
 */
export class Reach {
  readonly fail: 'open' | 'closed'
  readonly #clock: Clock
  readonly #logger: Logger
  #backoffMs = 0
  #retryAt = -Infinity
  #trying = false
  #remindAt = -Infinity
  /** Requests since the store went away, that passed uncounted or were refused. */
  #concerned = 0

  constructor(fail: 'open' | 'closed', logger: Logger, clock: Clock) {
    this.fail = fail
    this.#logger = logger
    this.#clock = clock
  }

  /** Whether the last attempt failed. */
  get away(): boolean {
    return this.#backoffMs > 0
  }

  /** A request had to be decided without the store. */
  concern(): void {
    this.#concerned++
  }

  /** @throws Unreachable */
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
      throw new Unreachable(Math.max(100, Math.ceil(this.#retryAt - now)))
    this.#trying = true
    try {
      const result = await work()
      this.#back()
      return result
    } catch (error) {
      throw this.#failed(error)
    } finally {
      this.#trying = false
    }
  }

  #failed(error: unknown): Unreachable {
    const now = this.#clock.steady()
    // Several that were under way fail for the same reason.
    if (now >= this.#retryAt) {
      this.#backoffMs = Math.min(MAX_BACKOFF_MS, Math.max(MIN_BACKOFF_MS, this.#backoffMs * 2))
      this.#retryAt = now + this.#backoffMs
    }
    if (now >= this.#remindAt) {
      this.#remindAt = now + REMIND_MS
      const what = this.fail === 'open' ? 'Calls pass without being counted' : 'Limited calls are refused'
      this.#logger.error(`The state of quotas cannot be reached. ${what} ("gateway.fail": "${this.fail}").`, {
        cause: describeError(error),
        concerned: this.#concerned,
      })
    }
    return new Unreachable(this.#backoffMs, error)
  }

  #back(): void {
    this.#backoffMs = 0
    this.#retryAt = this.#remindAt = -Infinity
    const what = this.fail === 'open' ? 'passed uncounted' : 'were refused'
    this.#logger.info(
      `The state of quotas can be reached again. ${this.#concerned} requests ${what} meanwhile.`,
    )
    this.#concerned = 0
  }
}

/** For what is asked ahead of need: a failure of the store shows at the next call that needs it. */
export function unheard(asking: Promise<void>): void {
  asking.catch(() => undefined)
}
