import { describeError } from '../../core/errors.ts'
import { describeChange, type ChangeDescription } from './describe-change.ts'
import { reasonFor } from './not-reloadable.ts'
import type { Logger } from '../../core/logger.ts'
import type { Config } from '../types.ts'
import type { ConfigReading, ConfigSource } from './config-source.ts'

/** What takes a changed configuration over: a gateway. */
export interface Reloadable {
  /** @throws GatewayError `config` with what cannot be used; everything runs on as it was then */
  reload(config: Config): Promise<{
    readonly applied: boolean
    readonly superseded: boolean
    readonly notReloadable: readonly string[]
  }>
}

export interface ReloaderOptions {
  readonly source: ConfigSource
  /** What runs with the configuration. */
  readonly target: Reloadable
  /** With which it was started. */
  readonly config: Config
  readonly logger: Logger
}

/** What came of one request to reload. */
export interface ReloadResult {
  /**
   * `applied`: the configuration is in effect; `unchanged`: it says what is in effect already; `checked`: it could be taken over; `invalid`: it cannot be used, the one
   * before stays in effect; `superseded`: a later one took its place.
   */
  readonly outcome: 'applied' | 'unchanged' | 'checked' | 'invalid' | 'superseded'
  /** What is different from before; `undefined` with `invalid`. */
  readonly change: ChangeDescription | undefined
  /** Keys that take effect at the next start, each with the reason. */
  readonly notReloadable: readonly { readonly key: string; readonly reason: string }[]
  /** What is wrong, with its places and fixes; `undefined` unless `invalid`. */
  readonly problem: string | undefined
  /** Problems of single servers in the new configuration, which are left out, a line each; `undefined` when there are none. */
  readonly problems: string | undefined
  /** Sentences about what is accepted in the new configuration but should be looked at. */
  readonly warnings: readonly string[]
}

/**
 * Brings a configuration from its source to what runs with it: when the source says that it has changed, unless
 * `gateway.watch` is off, and when it is asked to. One reload runs at a time; those that
 * are asked for meanwhile are one, with what the source says then. Each is logged with what has changed.
 */
export class Reloader {
  readonly #source: ConfigSource
  readonly #target: Reloadable
  readonly #logger: Logger
  #config: Config
  /** Of the contents that were tried last. */
  #digest: string | undefined
  #running: Promise<unknown> = Promise.resolve()
  /** Waits for the one that runs. */
  #waiting: Promise<ReloadResult> | undefined
  /** Whether it was asked for, and does not only follow the source. */
  #isAsked = false
  #closed = false

  constructor({ source, target, config, logger }: ReloaderOptions) {
    this.#source = source
    this.#target = target
    this.#config = config
    this.#logger = logger
  }

  /** The configuration that is in effect. */
  get config(): Config {
    return this.#config
  }

  /** Follows the source. Resolves when its changes are noticed. */
  async start(): Promise<void> {
    await this.#source.watch(() => {
      if (!this.#config.gateway.watch) return
      this.#reload(true).catch((error: unknown) => {
        if (!this.#closed) this.#logger.error(`The configuration could not be read. ${describeError(error)}`)
      })
    })
  }

  /** Reads the source and takes over what it says; resolves when it is in effect. Rejects only when it is closed. */
  reload(): Promise<ReloadResult> {
    return this.#reload(false)
  }

  /** As `reload`, but only says what it would change. */
  async check(): Promise<ReloadResult> {
    const result = this.#compare(await this.#source.read())
    return 'config' in result ? { ...result.result, outcome: 'checked' } : result
  }

  /** Resolves when no reload goes on. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#source.close()
    await this.#running.catch(() => {})
  }

  /** @param isNoticed the source says so, and nothing is done about contents that have been tried */
  #reload(isNoticed: boolean): Promise<ReloadResult> {
    this.#isAsked ||= !isNoticed
    if (this.#waiting) return this.#waiting
    const next = this.#running.then(() => {
      const isAsked = this.#isAsked
      this.#waiting = undefined
      this.#isAsked = false
      return this.#run(!isAsked)
    })
    this.#waiting = next
    this.#running = next.catch(() => {})
    return next
  }

  async #run(isNoticed: boolean): Promise<ReloadResult> {
    const before = this.#config
    const reading = await this.#source.read()
    const isKnown = reading.digest !== '' && reading.digest === this.#digest
    this.#digest = reading.digest
    const compared = this.#compare(reading)
    const isTried = isNoticed && isKnown
    const result = 'config' in compared && !isTried ? await this.#take(compared) : resultOf(compared)
    // A client that keeps its own things in the file writes it often.
    if (!isTried && !(isNoticed && result.outcome === 'unchanged')) this.#log(result, before)
    return result
  }

  #compare(reading: ConfigReading): ReloadResult | Comparison {
    if (reading.config === undefined) return invalid(reading.problem)
    const { config, problems } = reading
    const change = describeChange(this.#config, config)
    const { notReloadable } = change
    const result = { change, notReloadable, problem: undefined, problems, warnings: config.warnings }
    return change.isEmpty ? { ...result, outcome: 'unchanged' } : { config, result }
  }

  async #take({ config, result }: Comparison): Promise<ReloadResult> {
    try {
      const report = await this.#target.reload(config)
      if (report.superseded) return { ...result, outcome: 'superseded' }
      this.#config = config
      const notReloadable = report.notReloadable.map(key => ({ key, reason: reasonFor(key) }))
      return { ...result, outcome: 'applied', notReloadable }
    } catch (error) {
      return invalid(describeError(error))
    }
  }

  #log({ outcome, change, notReloadable, problem, warnings }: ReloadResult, before: Config): void {
    if (outcome === 'invalid') {
      this.#logger.error(`The changed configuration is not used, the one before stays in effect. ${problem}`)
      return
    }
    if (outcome === 'superseded') return
    for (const text of newOnes(problemsOf(before), problemsOf(this.#config))) this.#logger.error(text)
    for (const text of newOnes(before.warnings, warnings)) this.#logger.warn(text)
    if (outcome === 'unchanged')
      this.#logger.info(`${this.#source.name} was read again: nothing has changed.`)
    else this.#logger.info(`The configuration has changed and is in effect. ${change?.lines.join(' ')}`)
    if (notReloadable.length > 0) {
      const rest = notReloadable.map(({ key, reason }) => `${key}, because ${reason}`)
      this.#logger.warn(
        `Of the changed configuration this takes effect at the next start: ${rest.join('; ')}.`,
      )
    }
  }
}

/** A sound configuration that differs from the one in effect. */
interface Comparison {
  readonly config: Config
  readonly result: Omit<ReloadResult, 'outcome'>
}

/** Of contents that have been tried: what is in effect stays. */
function resultOf(compared: ReloadResult | Comparison): ReloadResult {
  return 'config' in compared ? { ...compared.result, outcome: 'unchanged' } : compared
}

function invalid(problem: string): ReloadResult {
  return {
    outcome: 'invalid',
    change: undefined,
    notReloadable: [],
    problem,
    problems: undefined,
    warnings: [],
  }
}

function problemsOf({ servers }: Config): string[] {
  return servers.flatMap(({ problem }) => (problem === undefined ? [] : [problem]))
}

function newOnes(before: readonly string[], after: readonly string[]): string[] {
  const known = new Set(before)
  return after.filter(text => !known.has(text))
}
