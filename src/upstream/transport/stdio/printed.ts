import { monotonicNow } from '../../../core/clock.ts'
import type { Logger } from '../../../core/logger.ts'
import { sameness } from '../../../core/sameness.ts'
import { LASTED_MS } from '../../balance/restart-backoff.ts'
import { LogSampler } from '../shared/log-sampler.ts'

/** Of one process; further lines are not compared. Twice as many are known of those before. */
const KEPT_LINES = 500
/** Lines that begin alike in so many characters are the same. */
const COMPARED_CHARS = 240

/** What is known of the processes before. */
interface Before {
  /** By those that have failed. */
  said: ReadonlySet<string>
  /** By those that are being greeted: how many of them printed it. */
  readonly now: Map<string, number>
  /** Processes in a row that have failed. */
  failures: number
  /** Whether the log says that they printed the same. */
  told: boolean
  /** What one that has not been greeted printed where messages belong. */
  stray: string | undefined
}

/**
 * What the processes of one endpoint print beside messages, led to the log. A server that fails at each start says the same each
 * time: lines that the process before printed before it failed are counted instead, and logged for `debug` only.
 */
export class Printed {
  readonly #before: Before = { said: new Set(), now: new Map(), failures: 0, told: false, stray: undefined }

  /** For the next process. */
  begin(logger: Logger): PrintedByOne {
    return new PrintedByOne(logger, this.#before)
  }

  /** Whether several processes in a row have failed. */
  get failsAgain(): boolean {
    return this.#before.failures > 1
  }

  /** A line that is no message, on the standard output of one that has not been greeted. */
  get stray(): string | undefined {
    return this.#before.stray
  }
}

export class PrintedByOne {
  readonly #logger: Logger
  readonly #before: Before
  readonly #said = new Set<string>()
  /** Lines that count as its own while it is being greeted. */
  readonly #now = new Set<string>()
  /** The first line that was no message, while it had not been greeted. */
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

  /** A line of its standard output that is no message. @returns whether it is news */
  strayed(line: string): boolean {
    if (this.#greetedAt === Infinity) {
      this.stray ??= line
      this.#before.stray ??= line
    }
    return this.isNews(line)
  }

  /** Whether neither the process before nor another one that is being greeted printed that, too; what they did is counted. */
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

  /** It could not be greeted, or has ended by itself. What it printed is not said again, unless it had lasted. */
  failed(): void {
    this.#tell()
    if (this.#lasts) this.#forget()
    else {
      // Starts of a server that is tried in several ways may take turns in what they print.
      this.#before.said = new Set([...this.#said, ...this.#before.said].slice(0, 2 * KEPT_LINES))
      if (!this.#failed) this.#before.failures++
    }
    this.#failed = true
    this.#leave()
  }

  /** It was told to end. Unless it had failed or was never greeted, the next failure is news. */
  stopped(): void {
    if (this.#greetedAt === Infinity) return this.failed()
    this.#tell()
    if (!this.#failed) this.#forget()
  }

  /** It is not being greeted any more. Lines that another one printed, too, stay known while that one is. */
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
