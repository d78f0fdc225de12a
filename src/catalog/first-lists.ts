import type { ServerConfig } from '../config/types.ts'
import { monotonicNow } from '../core/clock.ts'
import { describeError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { deleteAttemptsOf, serverOfAttempt } from './attempt.ts'
import type { StoredSnapshots } from './stored-snapshots.ts'

/** A try that fails sooner delays no list. The next start therefore treats the server like a new one. */
const PROMPT_MS = 1000

/** How long list requests wait for a server that has been late before, or whose last lists can be shown. */
const AGAIN_MS = 1000

export interface FirstListsOptions {
  /** How long list requests wait for a server that has never been listed, from the start of the try. */
  readonly timeoutMs: number
  readonly isListed: (server: string) => boolean
  readonly kept: Pick<StoredSnapshots, 'silent' | 'setSilent'>
  readonly logger: Logger
}

/**
 * How long the answer to `initialize` or `server/discover` waits for a server, from the start of the first try to list
 * it. Clients wait for `initialize` 10 seconds or longer, and some wait for `server/discover` only 5 seconds, including
 * the start of the gateway.
 */
const GREETING_MS = 2000

/** One try to list a server. */
export interface Try {
  readonly server: ServerConfig
  /** Key of the try: the server, or the server for one kind of client. */
  readonly key: string
  /** Whether the server had never been listed before. */
  readonly first: boolean
  /** Whether lists shown to a client of this kind are available, even if they may be outdated. */
  readonly shown: boolean
}

/**
 * Decides for which servers list requests wait. All clients together wait once for each try. A server that does not
 * answer in time, or fails, is not waited for again until it has been listed, and afterwards for a second only.
 */
export class FirstLists {
  readonly #options: FirstListsOptions
  /** Running tries, by key. A server may be tried for several kinds of clients at once, each with its own time. */
  readonly #begun = new Map<string, { readonly server: string; readonly since: number }>()
  /** Servers, and keys of tries, that did not answer the last time. */
  readonly #silent = new Set<string>()
  /** Keys of tries that have ever failed to answer in time. */
  readonly #late = new Set<string>()
  /** Servers that are stored as silent for the next start. */
  readonly #remembered = new Set<string>()
  /** Names of the servers of each reading under way, as far as they still stand for these servers. */
  readonly #restoring = new Set<Set<string>>()
  readonly #waits = new Map<string, { readonly over: Promise<void>; readonly end: () => void }>()

  /** As `FirstListsOptions.timeoutMs`. A change applies to later tries. */
  timeoutMs: number

  constructor(options: FirstListsOptions) {
    this.timeoutMs = options.timeoutMs
    this.#options = options
  }

  /** Reads which of these servers did not answer an earlier run. */
  async restore(servers: readonly ServerConfig[]): Promise<void> {
    const names = new Set(servers.map(({ name }) => name))
    this.#restoring.add(names)
    try {
      for (const name of await this.#options.kept.silent(servers)) {
        if (!names.has(name)) continue
        this.#silent.add(name)
        this.#remembered.add(name)
      }
    } catch {
      // The store is not readable. The reading of the lists logs this.
    } finally {
      this.#restoring.delete(names)
    }
  }

  /** Records the start of a try. */
  begin({ server: { name }, key }: Try): void {
    if (!this.#begun.has(key)) this.#begun.set(key, { server: name, since: monotonicNow() })
  }

  /** Resolves when the try has ended or its time is over. `undefined`: the try is not waited for. */
  wait(attempt: Try): Promise<void> | undefined {
    const { key } = attempt
    if (!this.#isExpected(attempt)) return undefined
    let wait = this.#waits.get(key)
    if (!wait) {
      const since = this.#begun.get(key)?.since ?? monotonicNow()
      let resolve = (): void => {}
      const over = new Promise<void>(done => (resolve = done))
      const timer = setTimeout(
        () => {
          this.#isSilent(attempt, true)
          resolve()
        },
        Math.max(0, since + this.#waitMs(attempt) - monotonicNow()),
      )
      const end = (): void => {
        clearTimeout(timer)
        resolve()
      }
      this.#waits.set(key, (wait = { over, end }))
    }
    return wait.over
  }

  /** Remaining milliseconds for which the answer to a greeting waits for the server. 0: it does not wait. */
  greetingMs(attempt: Try | undefined): number {
    if (!attempt || !this.#isExpected(attempt)) return 0
    const now = monotonicNow()
    let first = now
    for (const { server, since } of this.#begun.values())
      if (server === attempt.server.name) first = Math.min(first, since)
    return Math.max(0, first + GREETING_MS - now)
  }

  /** Records the end of a try. `listed`: it succeeded. */
  end(attempt: Try, listed: boolean): void {
    const { server, key, first } = attempt
    const since = this.#begun.get(key)?.since
    this.#begun.delete(key)
    if (listed) {
      this.#silent.delete(server.name)
      this.#silent.delete(key)
      if (first)
        for (const other of this.#silent) if (other.startsWith(`${server.name}\n`)) this.#silent.delete(other)
      if (this.#remembered.delete(server.name)) void this.#remember(server, false)
    } else {
      this.#isSilent(attempt, since !== undefined && monotonicNow() - since > PROMPT_MS)
    }
    this.#endWait(key)
    this.endLeft(new Set([server.name]))
  }

  /**
   * Treats the servers like new ones, because their settings have changed. Their tries so far are over; what waits for
   * them waits for the next one.
   */
  restart(servers: ReadonlySet<string>): void {
    for (const keys of [this.#silent, this.#late, this.#begun, ...this.#restoring])
      deleteAttemptsOf(servers, keys)
    for (const server of servers) this.#remembered.delete(server)
  }

  close(): void {
    for (const key of this.#waits.keys()) this.#endWait(key)
  }

  #isExpected({ server, key }: Try): boolean {
    return !this.#silent.has(server.name) && !this.#silent.has(key)
  }

  #waitMs({ key, shown }: Try): number {
    const { timeoutMs } = this
    return shown || this.#late.has(key) ? Math.min(AGAIN_MS, timeoutMs) : timeoutMs
  }

  #isSilent({ server, key }: Try, remember: boolean): void {
    this.#silent.add(key)
    this.#late.add(key)
    if (this.#options.isListed(server.name)) return
    this.#silent.add(server.name)
    if (!remember || this.#remembered.has(server.name)) return
    this.#remembered.add(server.name)
    void this.#remember(server, true)
  }

  /** Stores for the next start whether the server is silent. */
  async #remember(server: ServerConfig, silent: boolean): Promise<void> {
    try {
      await this.#options.kept.setSilent(server, silent)
    } catch (error) {
      this.#options.logger.debug('The outcome of the first listing could not be stored.', {
        server: server.name,
        cause: describeError(error),
      })
    }
  }

  /** Ends the waits for tries of the servers that are no longer running. */
  endLeft(servers: ReadonlySet<string>): void {
    for (const key of this.#waits.keys())
      if (servers.has(serverOfAttempt(key)) && !this.#begun.has(key)) this.#endWait(key)
  }

  #endWait(key: string): void {
    this.#waits.get(key)?.end()
    this.#waits.delete(key)
  }
}

/**
 * Resolves when all waits have ended, or with the first one after which `isEnough` is true. Rejects with the error of
 * `isEnough`.
 */
export function firstOf(waits: readonly Promise<void>[], isEnough: () => Promise<boolean>): Promise<void> {
  return new Promise((resolve, reject) => {
    let left = waits.length
    for (const wait of waits)
      void wait
        .then(async () => {
          if (--left === 0 || (await isEnough())) resolve()
        })
        .catch(reject)
  })
}
