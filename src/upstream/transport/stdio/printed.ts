import { monotonicNow } from '../../../core/clock.ts'
import type { Logger } from '../../../core/logger.ts'
import { sameness } from '../../../core/sameness.ts'
import { LASTED_MS } from '../../balance/restart-backoff.ts'
import { LogSampler } from '../shared/log-sampler.ts'

/** Lines of one process. Further lines are not compared. Twice as many are kept of earlier processes. */
const KEPT_LINES = 500
/** Lines that are equal in this many initial characters count as equal. */
const COMPARED_CHARS = 240

/** Record of the earlier processes. */
interface Before {
  /** Lines of processes that have failed. */
  said: ReadonlySet<string>
  /** Lines of processes that are being greeted, with the number of processes that printed each. */
  readonly now: Map<string, number>
  /** Processes in a row that have failed. */
  failures: number
  /** Whether it has been logged that they printed the same. */
  told: boolean
  /** A non-message on the standard output of a process that has not been greeted. */
  stray: string | undefined
}

/**
 * Logs the output of the processes of one endpoint other than messages. A server that fails at each start prints the
 * same each time. Lines that a failed process has already printed are therefore counted, and logged at `debug` only.
 */
export class Printed {
  readonly #before: Before = { said: new Set(), now: new Map(), failures: 0, told: false, stray: undefined }

  /** Begins the record of the next process. */
  begin(logger: Logger): PrintedByOne {
    return new PrintedByOne(logger, this.#before)
  }

  /** Whether several processes in a row have failed. */
  get failsAgain(): boolean {
    return this.#before.failures > 1
  }

  /** A line that is no message, on the standard output of a process that has not been greeted. */
  get stray(): string | undefined {
    return this.#before.stray
  }
}

export class PrintedByOne {
  readonly #logger: Logger
  readonly #before: Before
  readonly #said = new Set<string>()
  /** Its own lines while it is being greeted. */
  readonly #now = new Set<string>()
  /** The first line that was no message, before it was greeted. */
  stray: string | undefined
  readonly #chatter = new LogSampler(200, 10_000)
  #greetedAt = Infinity
  #repeated = 0
  #news = false
  #failed = false

  constructor(logger: Logger, before: Before) {
    this.#logger = logger
    this.#before = before
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

  /** A line of its standard output that is no message. @returns whether it is new */
  strayed(line: string): boolean {
    if (this.#greetedAt === Infinity) {
      this.stray ??= line
      this.#before.stray ??= line
    }
    return this.isNews(line)
  }

  /**
   * Whether neither an earlier process nor another one that is being greeted has printed the line, too. Repeated lines
   * are counted.
   */
  isNews(text: string): boolean {
    if (this.#lasts) {
      this.#tell()
      return true
    }
    const line = sameness(text, COMPARED_CHARS)
    const { said, now } = this.#before
    const known = said.has(line) || now.has(line)
    if (this.#said.size < KEPT_LINES) {
      this.#said.add(line)
      if (this.#isBeingGreeted && !this.#now.has(line)) {
        this.#now.add(line)
        now.set(line, (now.get(line) ?? 0) + 1)
      }
    }
    if (known) {
      this.#repeated++
      return false
    }
    this.#news = true
    return true
  }

  /** It has answered the handshake. */
  greeted(): void {
    this.#greetedAt = monotonicNow()
    this.#before.stray = undefined
    this.#leave()
  }

  /** It could not be greeted, or has ended by itself. Its lines are not logged again, unless it had run long enough. */
  failed(): void {
    this.#tell()
    if (this.#lasts) this.#forget()
    else {
      // Starts with different eras may print different lines in turn.
      this.#before.said = new Set([...this.#said, ...this.#before.said].slice(0, 2 * KEPT_LINES))
      if (!this.#failed) this.#before.failures++
    }
    this.#failed = true
    this.#leave()
  }

  /** It was stopped. Unless it had failed or was never greeted, the next failure is new. */
  stopped(): void {
    if (this.#greetedAt === Infinity) return this.failed()
    this.#tell()
    if (!this.#failed) this.#forget()
  }

  /** Ends its greeting. Lines that another process printed, too, are kept while that one is being greeted. */
  #leave(): void {
    const { now } = this.#before
    for (const line of this.#now) {
      const others = (now.get(line) ?? 1) - 1
      if (others > 0) now.set(line, others)
      else now.delete(line)
    }
    this.#now.clear()
  }

  get #isBeingGreeted(): boolean {
    return this.#greetedAt === Infinity && !this.#failed
  }

  #forget(): void {
    Object.assign(this.#before, { said: new Set(), failures: 0, told: false })
  }

  get #lasts(): boolean {
    return monotonicNow() - this.#greetedAt >= LASTED_MS
  }

  #tell(): void {
    if (this.#repeated === 0) return
    const lines = this.#repeated === 1 ? 'line' : `${this.#repeated} lines`
    const level = this.#news || !this.#before.told ? 'info' : 'debug'
    this.#logger[level](`It printed the same ${lines} as before.`, { source: 'stderr' })
    this.#before.told = true
    this.#repeated = 0
  }
}
