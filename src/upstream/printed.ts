import { monotonicNow } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import { LASTED_MS } from './crash-loop.ts'
import { Throttle } from './throttle.ts'

/** Of one process; further lines are not compared. */
const KEPT_LINES = 500
/** Lines that begin alike in so many characters are the same. */
const COMPARED_CHARS = 240
/** Dates, times, durations, ids and numbers of processes differ at each start and tell nothing. */
const VARYING = /\d+(?:[-:T_/]\d+){2,}(?:[.,]\d+)?Z?|\b\d+(?:\.\d+)?\s?m?s\b|[0-9a-f]{8,}|\d{4,}/gi

/**
 * What the processes of one endpoint print beside messages, led to the log. A server that fails at each start says the same each
 * time: lines that the process before printed before it failed are counted instead, and logged for `debug` only.
 */
export class Printed {
  #before: ReadonlySet<string> = new Set()

  /** For the next process. */
  begin(logger: Logger): PrintedByOne {
    return new PrintedByOne(logger, this.#before, said => (this.#before = said))
  }
}

export class PrintedByOne {
  readonly #logger: Logger
  readonly #before: ReadonlySet<string>
  readonly #keep: (said: ReadonlySet<string>) => void
  readonly #said = new Set<string>()
  readonly #chatter = new Throttle(200, 10_000)
  #greetedAt = Infinity
  #repeated = 0
  #failed = false

  constructor(logger: Logger, before: ReadonlySet<string>, keep: (said: ReadonlySet<string>) => void) {
    this.#logger = logger
    this.#before = before
    this.#keep = keep
  }

  /** A line of its standard error. */
  line(text: string): void {
    const news = this.isNews(text)
    const { passes, held } = this.#chatter.next()
    if (!passes) return
    const fields = { source: 'stderr', ...(held > 0 && { omittedBefore: held }) }
    if (news) this.#logger.info(text, fields)
    else this.#logger.debug(text, fields)
  }

  /** Whether the process before did not print that, too; what it did is counted. */
  isNews(text: string): boolean {
    if (this.#lasts) {
      this.#tell()
      return true
    }
    const line = text.slice(0, COMPARED_CHARS).replace(VARYING, '#')
    if (this.#said.size < KEPT_LINES) this.#said.add(line)
    if (!this.#before.has(line)) return true
    this.#repeated++
    return false
  }

  /** It has answered the handshake. */
  greeted(): void {
    this.#greetedAt = monotonicNow()
  }

  /** It could not be greeted, or has ended by itself. What it printed is not said again, unless it had lasted. */
  failed(): void {
    this.#failed = true
    this.#tell()
    this.#keep(this.#lasts ? new Set() : this.#said)
  }

  /** It was told to end. Unless it had failed, the next failure is news. */
  stopped(): void {
    this.#tell()
    if (!this.#failed) this.#keep(new Set())
  }

  get #lasts(): boolean {
    return monotonicNow() - this.#greetedAt >= LASTED_MS
  }

  #tell(): void {
    if (this.#repeated === 0) return
    const lines = this.#repeated === 1 ? 'line' : `${this.#repeated} lines`
    this.#logger.info(`It printed the same ${lines} as before.`, { source: 'stderr' })
    this.#repeated = 0
  }
}
