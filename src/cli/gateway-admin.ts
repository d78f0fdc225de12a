import type { Duplex } from 'node:stream'
import { monotonicNow } from '../core/clock.ts'
import { GatewayError } from '../core/errors.ts'
import { VERSION } from '../version.ts'
import { nextStartProblem } from './next-start.ts'
import { notThere } from './not-there.ts'
import { noPersonFor, ownerGiven, serverWithLogin } from './login-owner.ts'
import { AdminProblem } from '../admin/problem-details.ts'
import type {
  AdminService,
  AdminStatus,
  AdminWrite,
  CheckAnswer,
  ConversationOptions,
  DrainAnswer,
  DrainTarget,
  LoginAnswer,
  LoginTarget,
  LogoutAnswer,
  ReloadAnswer,
  RestartAnswer,
  UsageAnswer,
  UsageRequest,
} from '../admin/service.ts'
import type { Overrides } from '../config/resolve/environment.ts'
import type { ReadingThreads } from '../config/source/reading-threads.ts'
import type { Reloader } from '../config/source/reloader.ts'
import type { ReloadPlan } from '../config/source/reload-plan.ts'
import type { Config } from '../config/types.ts'
import type { Logger } from '../core/logger.ts'
import type { KeptLogins } from '../credentials/login/kept-logins.ts'
import type { RunningGateway } from '../gateway/gateway.ts'
import { usageLines } from '../observe/usage/usage-report.ts'
import type { ExposedText, ExpositionFormat } from '../observe/metrics/exposition.ts'
import type { RecentRecords } from '../observe/recent-records.ts'
import { StoreAway } from '../core/store-away.ts'
import { readinessOf } from '../gateway/status.ts'

export interface GatewayAdminOptions {
  readonly gateway: RunningGateway
  readonly config: Config
  readonly overrides: Overrides | undefined
  /** Reads the file again; `undefined` without a file. */
  readonly reloader: Reloader | undefined
  readonly threads: ReadingThreads
  /** Whether a configuration sent over the API may define programs to run. */
  readonly allowsCommands: boolean
  readonly recent: RecentRecords
  readonly logger: Logger
}

/** The admin operations of a gateway that a command runs. */
export class GatewayAdmin implements AdminService {
  readonly file: string | undefined
  readonly allowsCommands: boolean
  readonly #options: GatewayAdminOptions
  readonly #startedAt = Math.floor(performance.timeOrigin)

  constructor(options: GatewayAdminOptions) {
    this.#options = options
    this.file = options.config.file
    this.allowsCommands = options.allowsCommands
  }

  status(): AdminStatus {
    const { ready, inFull } = readinessOf(this.#options.gateway.status())
    return {
      version: VERSION,
      pid: process.pid,
      config: this.file,
      startedAt: this.#startedAt,
      ready,
      servers: inFull,
    }
  }

  metrics(format: ExpositionFormat): Promise<ExposedText> {
    const { metrics } = this.#options.gateway.counts
    if (metrics) return metrics.write(format)
    throw new AdminProblem(404, 'This gateway counts no metrics, because "gateway.metrics.enabled" is false.')
  }

  async usage({ since, until, ...query }: UsageRequest): Promise<UsageAnswer> {
    const { usage } = this.#options.gateway.counts
    if (!usage)
      throw new AdminProblem(404, 'This gateway counts no usage, because "gateway.usage.enabled" is false.')
    return { since, until, lines: usageLines(await usage.read(since, until), query) }
  }

  log(server: string | undefined, follow: boolean): AsyncIterableIterator<string> {
    if (server !== undefined) this.#check(server, undefined)
    const lines = this.#options.recent.read(server, follow)
    if (!lines)
      throw new AdminProblem(
        503,
        'Too many readers follow the log of this gateway already. Stop one of them.',
      )
    return lines
  }

  endLog(): void {
    this.#options.recent.end()
  }

  async converse(stream: Duplex, as: ConversationOptions): Promise<void> {
    await this.#options.gateway.serveStdio(stream, stream, as)
  }

  isServer(name: string): boolean {
    return this.#options.gateway.status().some(server => server.name === name)
  }

  async check(text: string): Promise<CheckAnswer> {
    const { config, overrides = {}, threads } = this.#options
    const content = text.replace(/^\uFEFF/, '')
    const { reading } = await threads.read({ file: this.file ?? '', overrides, text: content }).reading
    if (reading.config === undefined) return { problem: reading.problem, broken: [] }
    const listens = overrides.serves === true
    const problem = await nextStartProblem({ next: reading.config, started: config, listens })
    if (problem !== undefined) return { problem, broken: [] }
    const broken = reading.config.servers.flatMap(({ name, problem }) =>
      problem === undefined ? [] : [{ name, problem }],
    )
    return { problem: undefined, broken }
  }

  async reload({ dryRun }: { readonly dryRun: boolean }): Promise<ReloadAnswer> {
    const { reloader } = this.#options
    if (!reloader) throw new GatewayError('config', 'The configuration is no file, and cannot be read again.')
    const result = await (dryRun ? reloader.check() : reloader.reload())
    const { outcome, plan, problem, problems } = result
    if (outcome === 'invalid') throw new GatewayError('config', problem ?? '')
    return {
      dryRun,
      applied: outcome === 'applied' || (outcome === 'unchanged' && !dryRun),
      superseded: outcome === 'superseded',
      changes: plan?.change.lines ?? [],
      lastApplied: plan?.change.isEmpty ? lastAppliedOf(reloader) : undefined,
      restarts: plan ? restartsOf(plan) : [],
      endings: plan?.endings ?? [],
      notReloadable: plan?.notReloadable ?? [],
      unusable: plan?.unusable ?? [],
      problems,
    }
  }

  drain(target: DrainTarget): Promise<DrainAnswer> {
    return this.#drain(target, true)
  }

  undrain(target: DrainTarget): Promise<DrainAnswer> {
    return this.#drain(target, false)
  }

  restart(server: string): Promise<RestartAnswer> {
    this.#check(server, undefined)
    return Promise.resolve({ server, drainedLinks: this.#options.gateway.operations.restart(server) })
  }

  credentials(): Promise<KeptLogins> {
    return this.#options.gateway.operations.credentials()
  }

  async beginLogin(target: LoginTarget): Promise<LoginAnswer> {
    const { server, owner } = this.#ownerOf(target)
    const needless = noPersonFor(serverWithLogin(this.#options.gateway.config, server))
    if (needless !== undefined) throw new GatewayError('config', needless)
    const { url, code, expiresAt } = await this.#options.gateway.operations.beginLogin(server, owner)
    return { server, owner, url, code, expiresAt }
  }

  async logOut(target: LoginTarget): Promise<LogoutAnswer> {
    const { server, owner } = this.#ownerOf(target)
    return { server, owner, ...(await this.#options.gateway.operations.logOut(server, owner)) }
  }

  #ownerOf({ server, client }: LoginTarget): { readonly server: string; readonly owner: string } {
    this.#check(server, undefined)
    const { config } = this.#options.gateway
    return { server, owner: ownerGiven(config, serverWithLogin(config, server), client) }
  }

  noteWrite(write: AdminWrite): void {
    const { gateway, logger } = this.#options
    gateway.operations.noteAdmin(write)
    const result = write.status < 400 ? 'was carried out' : 'was refused'
    logger.info(`A write request to the admin API ${result}.`, { ...write })
  }

  async #drain({ server, replica }: DrainTarget, drained: boolean): Promise<DrainAnswer> {
    this.#check(server, replica)
    const { operations } = this.#options.gateway
    try {
      await operations.drain(server, replica, drained)
    } catch (error) {
      throw error instanceof StoreAway ? new AdminProblem(503, error.message) : error
    }
    return { server, replica, drained, inFlight: operations.inFlight(server, replica) }
  }

  #check(server: string, replica: string | undefined): void {
    const servers = this.#options.gateway.status()
    const found = servers.find(({ name }) => name === server)
    if (!found)
      throw notThere(
        quoted => `There is no server ${quoted} in the running configuration`,
        server,
        servers.map(({ name }) => name),
      )
    const names = found.replicas.map(({ name }) => name)
    if (replica === undefined || names.some(name => name === replica || name.startsWith(`${replica}/`)))
      return
    throw notThere(quoted => `Server "${server}" has no replica ${quoted}`, replica, names)
  }
}

/** The watch may have applied a change just before a reload was asked for. */
function lastAppliedOf({ lastApplied }: Reloader): ReloadAnswer['lastApplied'] {
  if (!lastApplied) return undefined
  const secondsAgo = Math.round((monotonicNow() - lastApplied.at) / 1000)
  return { secondsAgo, changes: lastApplied.lines, endings: lastApplied.endings }
}

/** The servers that get new links, with the keys that cause it. */
function restartsOf({ change }: ReloadPlan): ReloadAnswer['restarts'] {
  return change.changes.flatMap(({ name = '', renewing }) =>
    renewing.length > 0 ? [{ server: name, keys: renewing }] : [],
  )
}
