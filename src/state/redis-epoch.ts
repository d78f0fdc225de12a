import { randomUUID } from 'node:crypto'
import type { Logger } from '../core/logger.ts'

/** Key of the epoch, after the prefix of the store. */
export const EPOCH = 'epoch'

/** Tells one content of Redis from the next. Scripts that count answer the epoch that they found, or the one that they began because there was none. */
export class Epoch {
  readonly #store: string
  readonly #logger: Logger
  #known: string | undefined

  constructor(store: string, logger: Logger) {
    this.#store = store
    this.#logger = logger
  }

  /** What a script begins where it finds none. */
  next(): string {
    return randomUUID()
  }

  /** Takes what a script has answered. Another epoch than before is a loss, and the log says so. */
  look(found: string | undefined): void {
    if (this.#known !== undefined && found !== this.#known)
      this.#logger.warn(
        `The state store ${this.#store} has lost its content: it was emptied, or restarted without keeping its data. ` +
          'Rates and budgets count from zero since then, and API keys made with "keys create" are gone. ' +
          'Fix: let Redis keep its data (appendonly yes), and give the gateway a database that nothing else empties.',
      )
    this.#known = found
  }
}
