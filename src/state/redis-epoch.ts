import { randomUUID } from 'node:crypto'
import type { Logger } from '../core/logger.ts'

/** Key of the epoch, after the prefix of the store. */
export const EPOCH = 'epoch'

/** Tells one content of Redis from the next. Scripts that count answer the epoch that they found, or the one that they began because there was none. */
export class Epoch {
  /** When `look` last found that the content is gone (Unix milliseconds). */
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

  /** What a script begins where it finds none. */
  next(): string {
    return randomUUID()
  }

  /** Takes what a script has answered. Another epoch than before is a loss: `lostAt` and the log say so. */
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
