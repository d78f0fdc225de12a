import { Deferrable } from '../core/deferrable.ts'
import { describeError } from '../core/errors.ts'
import { HeldBy } from '../core/held-by.ts'
import type { Logger } from '../core/logger.ts'
import type { Steps } from '../core/slices.ts'

/** Maximum number of log records that wait for all sessions, shared by the servers with waiting ones. */
const MAX_RECORDS = 1000
/** Maximum UTF-16 units of these, likewise. */
const MAX_CHARS = 8 * 1024 * 1024

/** Log records for all sessions. If a server logs faster than sessions can be served, records are dropped. */
export class WaitingRecords {
  readonly #logger: Logger
  readonly #telling: Deferrable
  readonly #chars = new HeldBy()
  readonly #dropped = new HeldBy()
  #count = 0

  constructor(logger: Logger) {
    this.#logger = logger
    this.#telling = new Deferrable(error =>
      logger.error('Sessions could not be told of a log record.', { cause: describeError(error) }),
    )
  }

  /** Runs `work`, which sends a record of a server, at once or in its turn. Drops what exceeds the server's share. */
  tell(server: string, { length }: string, work: () => Steps<void>): void {
    if (
      this.#telling.waitingOf(server) >= this.#telling.shareOf(server, MAX_RECORDS) ||
      this.#chars.of(server) + length > this.#telling.shareOf(server, MAX_CHARS)
    ) {
      this.#dropped.add(server, 1)
      return
    }
    this.#chars.add(server, length)
    this.#telling.do(server, String(this.#count++), () => {
      this.#chars.add(server, -length)
      this.#reportDropped(server)
      return work()
    })
  }

  /** Logs one line for all records that were dropped while others waited. */
  #reportDropped(server: string): void {
    const records = this.#dropped.of(server)
    if (records === 0 || this.#telling.waitingOf(server) > 0) return
    this.#dropped.add(server, -records)
    this.#logger.debug('Log records came faster than sessions can be told; dropped.', { server, records })
  }
}
