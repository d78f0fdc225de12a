import { randomUUID } from 'node:crypto'
import type { Logger } from '../core/logger.ts'

/** Key of the epoch, after the prefix of the store. */
export const EPOCH = 'epoch'

/**
 * Detects that Redis has lost its content. Counting scripts return the epoch that they found, or the one that they
 * created because it was missing.
 */
export class RedisEpoch {
  /** When `look` last detected a loss (Unix milliseconds). */
  lostAt: number | undefined
  readonly #store: string
  readonly #logger: Logger
  readonly #now: () => number
  #known: string | undefined

  constructor(store: string, logger: Logger, now: () => number = Date.now) {
    this.#store = store
    this.#logger = logger
    this.#now = now
  }

  /** The epoch that a script creates when none exists. */
  next(): string {
    return randomUUID()
  }

  /** Processes the epoch returned by a script. A changed epoch is a loss, which is logged and stored in `lostAt`. */
  look(found: string | undefined): void {
    if (this.#known !== undefined && found !== this.#known) {
      this.lostAt = this.#now()
      this.#logger.warn(
        `The state store ${this.#store} has lost its content: it was emptied, or restarted without keeping its data. ` +
          'What was used of rates and budgets is gone, and so are API keys made with "keys create". ' +
          'Fix: let Redis keep its data (appendonly yes), and give the gateway a database that nothing else empties.',
      )
    }
    this.#known = found
  }
}
