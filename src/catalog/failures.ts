import { monotonicNow } from '../core/clock.ts'
import { describeError, type GatewayError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { sameness } from '../core/sameness.ts'

/** A cause that recurs within this time is logged at `debug`, even after another cause or a success. */
const RECENT_MS = 10 * 60_000
/** Maximum number of recorded causes for one server. */
const MAX_CAUSES = 16
const COMPARED_CHARS = 1000

interface Failing {
  readonly error: GatewayError
  readonly cause: string
  /** Whether the failure was logged at `warn`. */
  readonly written: boolean
}

/**
 * Reasons why servers could not be listed. A server is tried with each list that a client requests, so the log has a
 * line only when a server begins to fail, when the cause changes, and when the server has been listed again.
 * Repetitions are logged at `debug`.
 */
export class Failures {
  readonly #logger: Logger
  readonly #failing = new Map<string, Failing>()
  /** Server → cause → time at which it was last logged at `warn`. */
  readonly #written = new Map<string, Map<string, number>>()

  /** Servers that need a login. One that is tried again stays among them until it is listed. */
  readonly needLogin = new Set<string>()

  constructor(logger: Logger) {
    this.#logger = logger
  }

  get(server: string): GatewayError | undefined {
    return this.#failing.get(server)?.error
  }

  has(server: string): boolean {
    return this.#failing.has(server)
  }

  /** Records a failure that the log already has. */
  set(server: string, error: GatewayError): void {
    this.#failing.set(server, { error, cause: error.message, written: false })
  }

  /** Drops a failure that is no longer one of the server. */
  delete(server: string): void {
    this.#failing.delete(server)
    this.#written.delete(server)
    this.needLogin.delete(server)
  }

  /** Records and logs a failure. `known` describes what clients see of the server meanwhile. */
  failed(server: string, error: GatewayError, known: string): void {
    if (error.code === 'needs_login') this.needLogin.add(server)
    const text = describeError(error.repeats ?? error)
    const cause = sameness(text, COMPARED_CHARS)
    const before = this.#failing.get(server)
    const same = before?.cause === cause
    const written = !same && this.#isNews(server, cause)
    this.#failing.set(server, { error, cause, written: written || before?.written === true })
    this.#logger[written ? 'warn' : 'debug'](`The server could not be listed; ${known}.`, {
      server,
      cause: text,
    })
  }

  listed(server: string): void {
    this.needLogin.delete(server)
    const before = this.#failing.get(server)
    if (!before) return
    this.#failing.delete(server)
    this.#logger[before.written ? 'info' : 'debug']('The server has been listed after it had failed.', {
      server,
    })
  }

  #isNews(server: string, cause: string): boolean {
    let causes = this.#written.get(server)
    if (!causes) this.#written.set(server, (causes = new Map()))
    const now = monotonicNow()
    const last = causes.get(cause)
    if (last !== undefined && now - last < RECENT_MS) return false
    if (causes.size >= MAX_CAUSES) for (const oldest of [...causes.keys()].slice(0, 1)) causes.delete(oldest)
    causes.set(cause, now)
    return true
  }
}
