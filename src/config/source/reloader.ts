import { describeError } from '../../core/errors.ts'
import { SlicedWork } from '../../core/slices.ts'
import { describing, type ChangeDescription } from './describe-change.ts'
import { reasonFor } from './not-reloadable.ts'
import { withSharedParts } from './shared-parts.ts'
import type { Logger } from '../../core/logger.ts'
import type { Config } from '../types.ts'
import type { ConfigReading, ConfigSource } from './config-source.ts'

/** The component that applies a changed configuration: a gateway. */
export interface Reloadable {
  /** @throws GatewayError `config` with the reason; everything continues unchanged */
  reload(config: Config): Promise<{
    readonly applied: boolean
    readonly superseded: boolean
    readonly notReloadable: readonly string[]
  }>
  /** Called when a changed configuration could not be read, with the reason. Nothing changes. */
  unreadable(problem: string): void
}

export interface ReloaderOptions {
  readonly source: ConfigSource
  /** The component that runs with the configuration. */
  readonly target: Reloadable
  /** The configuration at its start. */
  readonly config: Config
  readonly logger: Logger
}

/** The result of one reload request. */
export interface ReloadResult {
  /**
   * `applied`: the configuration is in effect. `unchanged`: it equals the one in effect. `checked`: it could be
   * applied. `invalid`: it cannot be used, and the previous one stays in effect. `superseded`: a later one was applied
   * instead.
   */
  readonly outcome: 'applied' | 'unchanged' | 'checked' | 'invalid' | 'superseded'
  /** The differences from the previous configuration; `undefined` with `invalid`. */
  readonly change: ChangeDescription | undefined
  /** Keys that require a restart, each with the reason. */
  readonly notReloadable: readonly { readonly key: string; readonly reason: string }[]
  /** The problems with their locations and fixes; `undefined` unless `invalid`. */
  readonly problem: string | undefined
  /**
   * Problems of single servers in the new configuration, which are left out; one per line. `undefined` when there are
   * none.
   */
  readonly problems: string | undefined
  /** Warnings about the new configuration. */
  readonly warnings: readonly string[]
}

/**
 * Applies configurations from a source: when the source reports a change, unless `gateway.watch` is off, and on
 * request. One reload runs at a time; requests in the meantime are merged into one, which reads the source again. Each
 * reload is logged with its changes.
 */
export class Reloader {
  readonly #source: ConfigSource
  readonly #target: Reloadable
  readonly #logger: Logger
  readonly #work = new SlicedWork()
  #config: Config
  /** Digest of the last contents that were tried. */
  #digest: string | undefined
  #running: Promise<unknown> = Promise.resolve()
  /** The reload that waits for the running one. */
  #waiting: Promise<ReloadResult> | undefined
  /** Whether the waiting reload was requested, rather than caused by the source. */
  #isAsked = false
  #closed = false

  constructor({ source, target, config, logger }: ReloaderOptions) {
    this.#source = source
    this.#target = target
    this.#config = config
    this.#logger = logger
  }

  /** The configuration in effect. */
  get config(): Config {
    return this.#config
  }

  /** Follows the source. Resolves when its changes are detected. */
  async start(): Promise<void> {
    await this.#source.watch(() => {
      if (!this.#config.gateway.watch) return
      this.#reload(true).catch((error: unknown) => {
        if (!this.#closed) this.#logger.error(`The configuration could not be read. ${describeError(error)}`)
      })
    })
  }

  /** Reads the source and applies the configuration; resolves when it is in effect. Rejects only when closed. */
  reload(): Promise<ReloadResult> {
    return this.#reload(false)
  }

  /** As `reload`, but only reports the changes. */
  async check(): Promise<ReloadResult> {
    const result = await this.#compare(await this.#source.read())
    return 'config' in result ? { ...result.result, outcome: 'checked' } : result
  }

  /** Resolves when no reload is running. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#source.close()
    await this.#running.catch(() => {})
  }

  /** @param isNoticed caused by the source: contents that were already tried are skipped */
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
    const compared = await this.#compare(reading)
    const isTried = isNoticed && isKnown
    const result = 'config' in compared && !isTried ? await this.#take(compared) : resultOf(compared)
    // A client that stores its own data in the file writes it often, so unchanged results are not logged.
    if (isTried) return result
    if (reading.config === undefined) this.#target.unreadable(reading.problem)
    if (!(isNoticed && result.outcome === 'unchanged')) this.#log(result, before)
    return result
  }

  async #compare(reading: ConfigReading): Promise<ReloadResult | Comparison> {
    if (reading.config === undefined) return invalid(reading.problem)
    const { problems } = reading
    const running = this.#config
    const config = await withSharedParts(running, reading.config)
    const change = await this.#work.do(() => describing(running, config))
    const { notReloadable } = change
    const result = { change, notReloadable, problem: undefined, problems, warnings: config.warnings }
    return change.isEmpty ? { ...result, outcome: 'unchanged' } : { config, result }
  }

  async #take({ config, result }: Comparison): Promise<ReloadResult> {
    try {
      const report = await this.#target.reload(config)
      if (report.superseded) return { ...result, outcome: 'superseded' }
      if (!report.applied) return invalid('The gateway is shutting down.')
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

/** A valid configuration that differs from the one in effect. */
interface Comparison {
  readonly config: Config
  readonly result: Omit<ReloadResult, 'outcome'>
}

/** The result for contents that were already tried: the configuration in effect stays. */
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

function newOnes(before: readonly string[], after: readonly string[]): string[] {
  const known = new Set(before)
  return after.filter(text => !known.has(text))
}
