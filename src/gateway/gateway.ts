import type { Readable, Writable } from 'node:stream'
import { Audience } from './audience.ts'
import { buildGeneration } from './build-generation.ts'
import { ClientService } from './client-service.ts'
import { Generation } from './generation.ts'
import { HttpFronts, type HandlerOptions, type PreparedFronts } from './http-fronts.ts'
import { noEndpoint } from './no-endpoint.ts'
import { Operations } from './operations.ts'
import type { RunningGatewayOptions, StdioClient } from './options.ts'
import { endingsOf } from './endings.ts'
import { mayReturn } from './may-return.ts'
import { ReloadQueue } from './reload-queue.ts'
import { reportOf, type ReloadReport } from './reload-report.ts'
import { GatewayCounts } from './gateway-counts.ts'
import { Runtime } from './runtime.ts'
import { inFlightAtDrained, readinessOf, statusOf, type ServerStatus } from './status.ts'
import { showLatest, takeOver } from './take-over.ts'
import type { CountersOf } from '../cache/stats.ts'
import type { Catalog } from '../catalog/catalog.ts'
import { planReload, type ReloadPlan } from '../config/source/reload-plan.ts'
import type { PlannedReload, Reloadable, Reloaded } from '../config/source/reloadable.ts'
import { WHOLE } from '../catalog/view-names.ts'
import type { Config, ServerConfig } from '../config/types.ts'
import { GatewayError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { clientPrincipal, LOCAL } from '../core/principal.ts'
import { Fronts, type ServedClient } from '../front/fronts.ts'
import type { RequestHandler } from '../front/http/mount.ts'
import { StdioFront } from '../front/stdio.ts'
import { compilePolicies, type Policies } from '../policy/policies.ts'
import { DrainWatch } from '../state/drain-watch.ts'
import type { Store } from '../state/store.ts'

/** Everything that another configuration needs, before it takes effect. */
interface Built {
  readonly planned: PlannedReload
  readonly generation: Generation
  readonly fronts: PreparedFronts
}

/**
 * A running gateway: what its fronts ask of it, its start and its end. How its parts are wired is in `generation.ts`.
 * Servers are started when they are first needed.
 */
export class RunningGateway extends ClientService implements Reloadable {
  readonly #logger: Logger
  readonly #store: Store
  protected readonly runtime: Runtime
  protected readonly audience: Audience
  protected current: Generation
  readonly #reloads = new ReloadQueue<Config | (() => Promise<Config>), Reloaded>(
    asked => this.#apply(asked),
    { outcome: 'superseded' },
  )
  readonly #drains: DrainWatch | undefined
  readonly #fronts: Fronts
  readonly #http: HttpFronts
  /** What is counted of it, from the start to the end. */
  readonly counts: GatewayCounts
  /** The problems that the last reload found in entries of servers. One that stays is logged once. */
  #saidProblems: ReadonlySet<string> = new Set()
  #stopping: Promise<void> | undefined
  #closing: Promise<void> | undefined

  constructor(config: Config, policies: Policies, options: RunningGatewayOptions) {
    const { logger, store } = options
    super(config.gateway.listen, logger)
    this.#logger = logger
    this.#store = store
    const { calls, serverInfo } = this
    this.#fronts = new Fronts(calls, serverInfo, logger)
    const catalog = (): Catalog => this.current.catalog
    const runtime = (this.runtime = new Runtime({
      config,
      store,
      logger,
      serverInfo,
      calls,
      events: this.events,
      catalog,
      mayReturn: client => mayReturn(this.current, client),
      pagesAt: () => this.#http.pagesAt,
    }))
    this.audience = new Audience(runtime, this.listens, this.events)
    this.current = new Generation({ config, policies, runtime, events: this.events })
    this.events.follow(config.gateway.audit, logger)
    this.counts = new GatewayCounts({ gateway: this, runtime, events: this.events })
    this.#http = new HttpFronts({
      service: this,
      config,
      store,
      logger,
      fronts: this.#fronts,
      logins: runtime.serverLogins,
      readiness: () => readinessOf(this.status()),
      onRefused: (status, reason, address) => this.events.accessRefused(status, reason, address),
      onChecked: durationMs => this.events.accessChecked(durationMs),
    })
    if (store.shared)
      this.#drains = new DrainWatch({
        ...options,
        onChange: drained => runtime.drain(drained),
        inFlight: () => inFlightAtDrained(this.status()),
      })
  }

  get config(): Config {
    return this.current.config
  }

  /** Reads what earlier runs left: lists and eras. Starts no server. */
  async load(): Promise<void> {
    await Promise.all([this.runtime.load(), this.#drains?.start()])
  }

  /**
   * Serves one client over a pair of streams; resolves when that client is gone. The program that starts the gateway
   * decides which client it is: the configured client of this name, else the local user.
   * @throws GatewayError `config` when there is no such client or endpoint, or the client may use nothing of it
   */
  async serveStdio(
    input: Readable,
    output: Writable,
    { endpoint = WHOLE, client, onOpen }: StdioClient = {},
  ): Promise<void> {
    const principal = client === undefined ? LOCAL : clientPrincipal(client)
    await this.known(endpoint, principal)
    // Only from here on does a reload see the front.
    if (client !== undefined && !this.config.clients.some(({ name }) => name === client))
      throw new GatewayError('config', `There is no client ${JSON.stringify(client)} in "clients".`)
    const view = this.viewOf(endpoint, principal)
    if (view === undefined) throw new GatewayError('config', noEndpoint(this.config, endpoint, principal))
    const front = new StdioFront({
      service: this,
      input,
      output,
      principal,
      endpoint,
      view,
      maxMessageBytes: this.config.gateway.http.maxBodyBytes,
      lastAnswersMs: this.config.gateway.shutdownTimeoutMs,
      logger: this.#logger,
    })
    this.#fronts.add(front)
    onOpen?.()
    await front.serve()
    this.#fronts.delete(front)
  }

  /** Serves HTTP on the configured address. @throws GatewayError `config` for an address that cannot be used */
  listen(): Promise<{ url: string; port: number }> {
    return this.#http.listen()
  }

  /** A handler of HTTP requests for a server of another program. @throws GatewayError `config` */
  handler(options?: HandlerOptions): RequestHandler {
    return this.#http.handler(options)
  }

  /** Lists each server that was never listed, and starts the required ones. `onSettled` is called after each. */
  async warmUp(onSettled?: (server: string) => void): Promise<ServerStatus[]> {
    await Promise.all(
      this.config.servers.map(async server => {
        if (!this.runtime.lists.snapshot(server.name)) await this.runtime.lists.refresh(server.name)
        // The status says why one does not start.
        if (server.required) await this.#start(server.name).catch(() => undefined)
        onSettled?.(server.name)
      }),
    )
    return this.status()
  }

  /**
   * Takes over another configuration. What does not change runs on: links, sessions, subscriptions, what is used up.
   * Calls in flight end under the configuration they began with. Of reloads that overlap, the last valid one wins.
   * @throws GatewayError `config` that names every problem; the gateway runs on as it was
   */
  async reload(asked: Config | (() => Promise<Config>)): Promise<ReloadReport> {
    return reportOf(await this.#reloads.add(asked))
  }

  apply(config: Config): Promise<Reloaded> {
    return this.#reloads.add(config)
  }

  /** Tells listeners that another configuration could not be read, so that `apply` does not get it. */
  unreadable(problem: string): void {
    this.events.tell({ type: 'reload.refused', error: new GatewayError('config', problem) })
  }

  async rehearse(config: Config): Promise<PlannedReload> {
    const plan = await planReload(this.config, config)
    if (plan.change.isEmpty) return { ...plan, endings: [] }
    const { planned, fronts } = await this.#build(plan)
    fronts.discard()
    return planned
  }

  async #apply(asked: Config | (() => Promise<Config>)): Promise<Reloaded> {
    try {
      return await this.#takeOver(asked)
    } catch (error) {
      this.events.tell({ type: 'reload.refused', error: GatewayError.from(error) })
      throw error
    }
  }

  async #takeOver(asked: Config | (() => Promise<Config>)): Promise<Reloaded> {
    const since = performance.now()
    const config = typeof asked === 'function' ? await asked() : asked
    if (this.#closing) return { outcome: 'closing' }
    const plan = await planReload(this.config, config)
    for (const problem of plan.problems) if (!this.#saidProblems.has(problem)) this.#logger.error(problem)
    this.#saidProblems = new Set(plan.problems)
    if (plan.change.isEmpty) return { outcome: 'unchanged', plan: { ...plan, endings: [] } }
    const built = await this.#build(plan)
    // Closing takes everything away that a configuration could be about.
    if (this.#closing) {
      built.fronts.discard()
      return { outcome: 'closing' }
    }
    const reloaded = { outcome: 'applied', plan: built.planned } as const
    let tellClients: () => Promise<void>
    try {
      tellClients = this.#putIntoEffect(built)
    } catch (error) {
      // Otherwise the next reload waits for these fronts.
      built.fronts.discard()
      throw error
    }
    const durationMs = performance.now() - since
    this.events.reloadApplied(reportOf(reloaded), durationMs)
    await tellClients()
    return reloaded
  }

  /** Those that are served at the moment: over sessions and streams, or with a call that waits for them. */
  *#clients(): Generator<ServedClient> {
    yield* this.#fronts.clients()
    yield* this.runtime.suspendedCalls.clients()
  }

  /** Everything that another configuration needs, checked, beside what is in effect. @throws GatewayError `config` */
  async #build(plan: ReloadPlan): Promise<Built> {
    const { config } = plan
    await this.events.checkAudit(config.gateway.audit)
    const fronts = await this.#http.prepare(config)
    try {
      const generation = await buildGeneration({
        config,
        runtime: this.runtime,
        events: this.events,
        former: this.current,
        clients: this.#clients(),
      })
      const endings = endingsOf(this.#clients(), generation, fronts)
      return { planned: { ...plan, endings }, generation, fronts }
    } catch (error) {
      fronts.discard()
      throw error
    }
  }

  /** Puts what was built into effect. @returns what tells the clients of it, which never rejects */
  #putIntoEffect({ generation, generation: { config }, fronts }: Built): () => Promise<void> {
    const seen = this.swap(generation, () =>
      takeOver(this.#logger, {
        'the log': () => this.#logger.setLevel?.(config.gateway.log),
        'the audit log': () => this.events.follow(config.gateway.audit, this.#logger),
        'listen streams': () => void (this.listens.limits = config.gateway.listen),
        'what runs': () => this.runtime.reconfigure(config),
        HTTP: () => fronts.use(),
        'sessions and streams': () => this.#fronts.reconfigured(config),
        'suspended calls': () => this.runtime.suspendedCalls.retain(client => mayReturn(generation, client)),
      }),
    )
    return async () => {
      await this.audience.moved(seen, generation)
      await showLatest(generation, this.#logger)
    }
  }

  /** What operators do to it while it runs. */
  get operations(): Operations {
    return new Operations(this.runtime, this.#store, this.events)
  }

  status(): ServerStatus[] {
    return this.config.servers.map(server => this.#statusOf(server))
  }

  /** The status of one server; `undefined` when there is none of this name. */
  statusOf(name: string): ServerStatus | undefined {
    const server = this.config.servers.find(server => server.name === name)
    return server && this.#statusOf(server)
  }

  #statusOf(server: ServerConfig): ServerStatus {
    return statusOf(server, this.runtime.poolOf(server.name), this.current.catalog)
  }

  /** What kept results have saved since the start, by server and tool. */
  cacheCounts(): readonly CountersOf[] {
    return this.runtime.cache.stats.list()
  }

  /** Legacy sessions open over HTTP. */
  get sessions(): number {
    return this.#http.sessions
  }

  /**
   * Takes no new requests, answers those that are in flight for `timeoutMs` at most (`gateway.shutdownTimeout`), then
   * closes. The HTTP front listens until then, and tells every new caller to go elsewhere. Idempotent.
   */
  stop(timeoutMs = this.config.gateway.shutdownTimeoutMs): Promise<void> {
    if (!this.#stopping) this.events.tell({ type: 'shutdown.began' })
    this.#stopping ??= this.#fronts.finish(timeoutMs).then(() => this.close())
    return this.#stopping
  }

  /**
   * Ends at once: what is in flight is answered with an error, then every conversation ends, then every server it
   * started. Idempotent; resolves when nothing is left.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Opens a link to a server, so that it runs before a call needs it. Rejects where that fails. */
  async #start(server: string): Promise<void> {
    await this.runtime.poolOf(server).any()
  }

  async #close(): Promise<void> {
    this.#fronts.drain()
    await this.#drains?.close()
    // First, and with time for the answers to leave: calls that wait are told why they do not get their turn.
    const { waiting } = this.runtime.limiter
    this.runtime.limiter.close()
    if (waiting > 0) await new Promise(resolve => setImmediate(resolve))
    await this.#fronts.cutOff()
    await this.#fronts.close()
    this.current.catalog.close()
    await this.runtime.close()
    // Each call has its line before the audit log ends.
    await this.#fronts.settled()
    await this.counts.close()
    await this.events.unfollow()
    await this.runtime.finish()
  }
}

/**
 * Builds a gateway and reads its state. Servers are not started; nothing listens yet.
 * @throws GatewayError `config` for rules that do not compile
 */
export async function buildGateway(config: Config, options: RunningGatewayOptions): Promise<RunningGateway> {
  const gateway = new RunningGateway(config, await compilePolicies(config, options.logger), options)
  await gateway.load()
  return gateway
}
