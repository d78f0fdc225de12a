import { monotonicNow } from '../../core/clock.ts'
import { valueAt } from '../problem.ts'
import { describeError, GatewayError } from '../../core/errors.ts'
import { isSame } from './differences.ts'
import type { NotReloadable } from './not-reloadable.ts'
import type { Ending, PlannedReload, Reloadable } from './reloadable.ts'
import type { Logger } from '../../core/logger.ts'
import type { Config } from '../types.ts'
import type { WatchedSource, SoundReading } from './config-source.ts'

export interface ReloaderOptions {
  readonly source: WatchedSource
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
  /** What the reload changes; `undefined` with `invalid` and `superseded`. */
  readonly plan: PlannedReload | undefined
  /** The problems with their locations and fixes; `undefined` unless `invalid`. */
  readonly problem: string | undefined
  /**
   * Problems of the entries of single servers in the new configuration, one per line. `undefined` when there are none.
   */
  readonly problems: string | undefined
}

/** A change that is in effect. */
export interface AppliedChange {
  /** On the clock of `monotonicNow`. */
  readonly at: number
  readonly lines: readonly string[]
  /** The clients that it cut off. */
  readonly endings: readonly Ending[]
}

/**
 * Applies configurations from a source: when the source reports a change, unless `gateway.watch` is off, and on
 * request. One reload runs at a time; requests in the meantime are merged into one, which reads the source again. Each
 * reload is logged with its changes.
 */
export class Reloader {
  readonly #source: WatchedSource
  readonly #target: Reloadable
  readonly #logger: Logger
  /** The configuration that was read last, whether or not all of it is in effect. */
  #read: Config
  /** Whether all of what was read last could be used. */
  #isSound = true
  #lastApplied: AppliedChange | undefined
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
    this.#read = config
    this.#logger = logger
  }

  /** Follows the source. Resolves when its changes are detected. */
  async start(): Promise<void> {
    await this.#source.watch(() => {
      if (!this.#target.config.gateway.watch) return
      this.#reload(true).catch((error: unknown) => {
        if (!this.#closed && !isEnd(error))
          this.#logger.error(`The configuration could not be read. ${describeError(error)}`)
      })
    })
  }

  /**
   * Reads the source and applies the configuration; resolves when it is in effect.
   * @throws GatewayError `cancelled` when closed, `shutting_down` when the gateway is closing
   */
  reload(): Promise<ReloadResult> {
    return this.#reload(false)
  }

  /**
   * What `reload` would do. Nothing changes, and what is read still counts as a change of the source. Waits for a
   * running reload.
   */
  check(): Promise<ReloadResult> {
    const checked = this.#running.then(async (): Promise<ReloadResult> => {
      const reading = await this.#source.peek()
      if (reading.config === undefined) return invalid(reading.problem)
      try {
        const plan = await this.#target.rehearse(reading.config)
        return { outcome: 'checked', plan, problem: undefined, problems: reading.problems }
      } catch (error) {
        return refused(error)
      }
    })
    this.#running = checked.catch(() => {})
    return checked
  }

  /** The last change that was applied; `undefined` when there was none since the start. */
  get lastApplied(): AppliedChange | undefined {
    return this.#lastApplied
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
    const reading = await this.#source.read()
    const isKnown = reading.digest !== '' && reading.digest === this.#digest
    const isTried = isNoticed && isKnown
    this.#digest = reading.digest
    if (reading.config === undefined) {
      if (!isTried) this.#target.unreadable(reading.problem)
      if (!isKnown) this.#logInvalid(reading.problem)
      else if (!isNoticed)
        this.#logger.info(`${this.#source.name} was read again: it is as it was, and cannot be used.`)
      this.#isSound = false
      return invalid(reading.problem)
    }
    if (isTried)
      return { outcome: 'unchanged', plan: undefined, problem: undefined, problems: reading.problems }
    return await this.#apply(reading, isNoticed)
  }

  async #apply({ config, problems }: SoundReading, isNoticed: boolean): Promise<ReloadResult> {
    try {
      const { outcome, plan } = await this.#target.apply(config)
      if (outcome === 'closing')
        throw new GatewayError('shutting_down', 'The gateway is closing. Nothing was reloaded.')
      if (plan) this.#logApplied({ config, problems }, plan, isNoticed)
      return { outcome, plan, problem: undefined, problems }
    } catch (error) {
      const result = refused(error)
      this.#isSound = false
      this.#logInvalid(result.problem)
      return result
    }
  }

  #logInvalid(problem: string | undefined): void {
    this.#logger.error(`The changed configuration is not used, the one before stays in effect. ${problem}`)
  }

  #logApplied(
    { config, problems }: Pick<SoundReading, 'config' | 'problems'>,
    { change, endings, notReloadable }: PlannedReload,
    isNoticed: boolean,
  ): void {
    const [before, wasSound] = [this.#read, this.#isSound]
    this.#read = config
    this.#isSound = problems === undefined
    for (const text of newOnes(before.warnings, config.warnings)) this.#logger.warn(text)
    const { lines } = change
    if (lines.length > 0) {
      this.#lastApplied = { at: monotonicNow(), lines, endings }
      this.#logger.info(`The configuration has changed and is in effect. ${lines.join(' ')}`)
    } else if (!wasSound && this.#isSound)
      this.#logger.info(`${this.#source.name} can be used as a whole again. What runs has not changed.`)
    // A client that stores its own data in the file writes it often, so unchanged results are not logged.
    else if (!isNoticed) this.#logger.info(`${this.#source.name} was read again: nothing has changed.`)
    const rest = notReloadable.filter(isNewSince(before, config))
    if (rest.length > 0) {
      const reasons = rest.map(({ key, reason }) => `${key}, because ${reason}`)
      this.#logger.warn(
        `Of the changed configuration this takes effect at the next start: ${reasons.join('; ')}.`,
      )
    }
  }
}

/** Whether a key was read with another value before: it is logged once, although it differs from what runs. */
function isNewSince(before: Config, config: Config): (kept: NotReloadable) => boolean {
  return ({ key }) => !isSame(valueAt(before, key.split('.')), valueAt(config, key.split('.')))
}

/** Whether an error means that reloading has ended, rather than that a configuration cannot be used. */
function isEnd(error: unknown): boolean {
  return error instanceof GatewayError && (error.code === 'shutting_down' || error.code === 'cancelled')
}

/** @throws the error when it means that reloading has ended */
function refused(error: unknown): ReloadResult {
  if (isEnd(error)) throw error
  return invalid(describeError(error))
}

function invalid(problem: string): ReloadResult {
  return { outcome: 'invalid', plan: undefined, problem, problems: undefined }
}

function newOnes(before: readonly string[], after: readonly string[]): string[] {
  const known = new Set(before)
  return after.filter(text => !known.has(text))
}
