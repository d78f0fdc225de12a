import type { Readable, Writable } from 'node:stream'
import { Generation } from './generation.ts'
import { checkExposure } from '../auth/exposure.ts'
import type { CountersOf } from '../cache/stats.ts'
import { spokenSince } from '../catalog/snapshot.ts'
import { WHOLE } from '../catalog/view-names.ts'
import type { AsksConfig, Config, LiveServer } from '../config/types.ts'
import type { Opening } from '../core/client-request.ts'
import { describeError, GatewayError } from '../core/errors.ts'
import type { Conversation, Exchange, Outcome } from '../core/exchange.ts'
import type { Logger } from '../core/logger.ts'
import { clientPrincipal, LOCAL, type Principal } from '../core/principal.ts'
import type { ListKind, Route } from '../core/route.ts'
import { CallsInFlight } from '../front/calls-in-flight.ts'
import { Fronts } from '../front/fronts.ts'
import { descriptorShares } from '../descriptors.ts'
import type { HttpFront } from '../front/http/endpoint.ts'
import { ListenStreams } from '../front/listen-streams.ts'
import type { Service, Subscriber } from '../front/service.ts'
import { StdioFront } from '../front/stdio.ts'
import { auditOpened } from '../middleware/request/audit.ts'
import { compilePolicies, type Policies } from '../policy/policies.ts'
import { listChangedMethod } from '../protocol/list-changed.ts'
import { DrainWatch } from '../state/drain-watch.ts'
import type { Store } from '../state/store.ts'
import type { GatewayOptions, StdioOptions } from './options.ts'
import { Operations } from './operations.ts'
import type { ReloadReport } from './reload-report.ts'
import { inFlightAtDrained, readinessOf, statusOf, type ServerStatus } from './status.ts'
import { VERSION } from '../version.ts'

/** How long a refresh of old lists waits, so that it does not compete with a client's first requests. */
const REFRESH_DELAY_MS = 2000

/**
 * A running gateway: what its fronts ask of it, its start and its end. How its parts are wired is in `generation.ts`. Servers are started when they
 * are first needed.
 */
export class Gateway implements Service {
  readonly serverInfo: string
  readonly asks: AsksConfig
  readonly listens: ListenStreams
  readonly calls = new CallsInFlight()
  readonly #config: Config
  readonly #logger: Logger
  readonly #store: Store
  readonly #parts: Generation
  readonly #drains: DrainWatch | undefined
  readonly #fronts: Fronts
  #http: HttpFront | undefined
  #refreshTimer: NodeJS.Timeout | undefined
  #stopping: Promise<void> | undefined
  #closing: Promise<void> | undefined

  constructor(config: Config, policies: Policies, options: GatewayOptions) {
    this.#config = config
    this.#logger = options.logger
    this.#store = options.store
    this.serverInfo = JSON.stringify({ name: 'mcp-manifold', title: 'Manifold', version: VERSION })
    this.asks = config.gateway.asks
    this.listens = new ListenStreams(config.gateway.listen, options.logger)
    const { calls, serverInfo } = this
    this.#fronts = new Fronts(calls, serverInfo, options.logger)
    this.#parts = new Generation({ config, policies, ...options, serverInfo, calls })
    if (options.store.name !== 'memory')
      this.#drains = new DrainWatch({
        ...options,
        onChange: drained => this.#parts.drain(drained),
        inFlight: () => inFlightAtDrained(this.status()),
      })
  }

  /** Reads what earlier runs left: lists and eras. Starts no server. */
  async load(): Promise<void> {
    await Promise.all([this.#parts.catalog.load(), this.#drains?.start()])
    void this.#parts.sharedCache?.start()
    for (const [name, pool] of this.#parts.pools) {
      const snapshot = this.#parts.catalog.snapshot(name)
      if (snapshot) pool.spoken = spokenSince(snapshot)
    }
    this.#refreshTimer = setTimeout(() => {
      for (const server of this.#parts.catalog.stale()) void this.#parts.catalog.refresh(server)
    }, REFRESH_DELAY_MS)
    this.#refreshTimer.unref()
  }

  /**
   * Serves one client over a pair of streams; resolves when that client is gone. Whoever starts the process decides who it is: the configured client of
   * this name, else the local user.
   * @throws GatewayError `config` when there is no such client or endpoint, or the client may use nothing of it
   */
  async serveStdio(
    input: Readable,
    output: Writable,
    { endpoint = WHOLE, client }: StdioOptions = {},
  ): Promise<void> {
    if (client !== undefined && !this.#config.clients.some(({ name }) => name === client))
      throw new GatewayError('config', `There is no client ${JSON.stringify(client)} in "clients".`)
    const principal = client === undefined ? LOCAL : clientPrincipal(client)
    await this.known(endpoint, principal)
    const view = this.viewOf(endpoint, principal)
    if (view === undefined) throw new GatewayError('config', this.#noEndpoint(endpoint, principal))
    const front = new StdioFront({
      service: this,
      input,
      output,
      principal,
      view,
      maxMessageBytes: this.#config.gateway.http.maxBodyBytes,
      lastAnswersMs: this.#config.gateway.shutdownTimeoutMs,
      logger: this.#logger,
    })
    this.#fronts.add(front)
    await front.serve()
    this.#fronts.delete(front)
  }

  /** Serves HTTP on the configured address. @throws GatewayError `config` when the address cannot be used, or must not be */
  async listen(): Promise<{ url: string; port: number }> {
    const { clients, gateway } = this.#config
    const { auth, http } = gateway
    checkExposure(this.#config, this.#logger)
    const [{ HttpFront }, { Gatekeeper }] = await Promise.all([
      import('../front/http/endpoint.ts'),
      import('../auth/gatekeeper.ts'),
    ])
    this.#http = new HttpFront({
      service: this,
      config: http,
      authenticator: new Gatekeeper({ auth, http, clients, store: this.#store, logger: this.#logger }),
      logger: this.#logger,
      maxConnections: descriptorShares().clients,
      readiness: () => readinessOf(this.status()),
      onRefused: (status, reason, address) => this.#parts.audit?.noteRefused(status, reason, address),
    })
    this.#fronts.add(this.#http)
    return await this.#http.listen()
  }

  /** Lists every server that has never been listed, and starts those that are required. Resolves when each has succeeded or failed; `onSettled` hears of each. */
  async warmUp(onSettled?: (server: string) => void): Promise<ServerStatus[]> {
    await Promise.all(
      this.#config.servers.map(async server => {
        if (!this.#parts.catalog.snapshot(server.name)) await this.#parts.catalog.refresh(server.name)
        if (server.required) await this.#start(server.name)
        onSettled?.(server.name)
      }),
    )
    return this.status()
  }

  /**
   * Takes over what a changed configuration says of replicas: endpoint, weight, tier, zone. Calls in flight are answered where they are. A server with a
   * problem, then or now, stays as it is.
   */
  apply({ servers }: { readonly servers: readonly LiveServer[] }): void {
    for (const { name, replicas, problem } of servers) {
      const pool = this.#parts.pools.get(name)
      if (pool?.server.problem === undefined && problem === undefined) pool?.membership.update(replicas)
    }
  }

  /**
   * Takes over another configuration. What does not change runs on: links, sessions, subscriptions, what is used up. Calls in flight end under the
   * configuration they began with. Of reloads that overlap, the last one wins.
   * @throws GatewayError `config` that names every problem; the gateway runs on as it was
   */
  reload(config: Config): Promise<ReloadReport> {
    this.apply(config)
    const servers = { added: [], removed: [], changed: [] }
    return Promise.resolve({ applied: true, superseded: false, notReloadable: [], servers })
  }

  /** What operators do to it while it runs. */
  get operations(): Operations {
    return new Operations(this.#parts, this.#store)
  }

  status(): ServerStatus[] {
    return this.#config.servers.map(server =>
      statusOf(server, this.#parts.poolOf(server.name), this.#parts.catalog),
    )
  }

  /** What kept results have saved since the start, by server and tool. */
  cacheCounts(): readonly CountersOf[] {
    return this.#parts.cache.stats.list()
  }

  /** Legacy sessions open over HTTP. */
  get sessions(): number {
    return this.#http?.sessions ?? 0
  }

  /**
   * Takes no new requests, answers those that are in flight for as long as `gateway.shutdownTimeout` allows, then closes. The HTTP front listens until
   * then, and tells everyone who still comes to go elsewhere. Idempotent.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#fronts.finish(this.#config.gateway.shutdownTimeoutMs).then(() => this.close())
    return this.#stopping
  }

  /**
   * Ends at once: what is in flight is answered with an error, then every conversation ends, then every server it started. Idempotent; resolves when
   * nothing is left.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  // Service

  viewOf(endpoint: string, principal: Principal): string | undefined {
    return this.#parts.catalog.views.of(endpoint, this.#parts.policies.of(principal))
  }

  known(endpoint: string, principal: Principal): Promise<unknown> | undefined {
    return this.#parts.catalog.views.known(endpoint, this.#parts.policies.of(principal))
  }

  viewFor(view: string, kind: string): string {
    return this.#parts.catalog.views.named(view, kind)
  }

  capabilities(view: string, protocolVersion: string): Record<string, unknown> {
    const found = this.#parts.catalog.view(view)
    return found ? this.#parts.router.capabilities(found, protocolVersion) : {}
  }

  instructions(view: string): string | undefined {
    return this.#parts.catalog.view(view)?.instructions
  }

  introduced(exchange: Exchange): Promise<unknown> | undefined {
    return this.#parts.catalog.introduced(exchange)
  }

  headerParams(view: string, tool: string): Route['headerParams'] {
    return this.#parts.catalog.view(view)?.tool(tool)?.headerParams
  }

  join(conversation: Conversation): void {
    this.#parts.relay.join(conversation)
    this.#parts.trace?.opened(conversation)
  }

  leave(conversation: Conversation): void {
    this.#parts.relay.leave(conversation)
    this.#parts.trace?.closed(conversation)
    for (const pool of this.#parts.pools.values()) pool.leave(conversation)
    this.#parts.legacyTasks.leave(conversation)
  }

  worksFor(conversation: Conversation): boolean {
    return this.#parts.legacyTasks.worksFor(conversation)
  }

  moved(conversation: Conversation, before: string): void {
    const { catalog, subscriptions, router } = this.#parts
    const made = [before, conversation.view].map(name => catalog.views.made(name))
    void Promise.all(made).then(async ([old, view]) => {
      if (!old || !view) return
      const isOwner = (server: string, uri: string): boolean => router.ownerOf(conversation, uri) === server
      subscriptions.retain(conversation, conversation.view, isOwner)
      for (const method of new Set((await catalog.views.changed(old, view)).map(listChangedMethod)))
        conversation.notify(method, undefined)
    })
  }

  rootsChanged(conversation: Conversation): void {
    for (const pool of this.#parts.pools.values())
      for (const link of pool.server.roots ? [] : pool.links)
        if (link.owner === conversation) link.notify('notifications/roots/list_changed', undefined)
  }

  async subscribe(exchange: Exchange, uris: readonly string[], subscriber: Subscriber): Promise<string[]> {
    return await this.#parts.router.subscribe(exchange, uris, subscriber)
  }

  listenToTasks(exchange: Exchange, ids: readonly string[], subscriber: Subscriber): Promise<string[]> {
    return this.#parts.router.listenToTasks(exchange, ids, subscriber)
  }

  unsubscribe(subscriber: Subscriber): void {
    this.#parts.subscriptions.leave(subscriber)
    this.#parts.taskListeners.leave(subscriber)
  }

  onListChanged(view: string, listener: (kinds: readonly ListKind[]) => void): () => void {
    // Only a view that has been made can be seen to change.
    void this.#parts.catalog.views.ready(view)
    return this.#parts.listChanges.on(view, listener)
  }

  handle(exchange: Exchange): Promise<Outcome> {
    const { chains, catalog } = this.#parts
    const made = catalog.views.ready(exchange.view)
    return made ? made.then(() => chains.request(exchange)) : chains.request(exchange)
  }

  admit(opening: Opening): Promise<unknown> {
    return this.#parts.chains.opening(opening)
  }

  listening(exchange: Exchange, since: number): void {
    auditOpened({ auditLog: this.#parts.audit }, exchange, since)
  }

  #noEndpoint(name: string, principal: Principal): string {
    if (name === WHOLE) return `The client "${principal.name}" may use nothing. Allow it something.`
    const names = this.#config.profiles.map(profile => profile.name)
    const known = names.length > 0 ? `There are: ${names.join(', ')}.` : 'Add it to "profiles".'
    return `There is no profile "${name}" in the configuration, or nothing in it that may be used. ${known}`
  }

  async #start(server: string): Promise<void> {
    try {
      await this.#parts.poolOf(server).any()
    } catch {
      // The status says why.
    }
  }

  async #close(): Promise<void> {
    clearTimeout(this.#refreshTimer)
    this.#fronts.drain()
    await this.#drains?.close()
    // First, and with time for the answers to leave: those who wait hear why they do not get their turn.
    const { waiting } = this.#parts.limiter
    this.#parts.limiter.close()
    if (waiting > 0) await new Promise(resolve => setImmediate(resolve))
    await this.#fronts.cutOff()
    await this.#fronts.close()
    const catalog = this.#parts.catalog.close()
    await Promise.all([...this.#parts.pools.values()].map(pool => pool.close()))
    await catalog
    // Each call has its line before the audit log ends.
    await this.#fronts.settled()
    await this.#parts.audit?.close()
    this.#parts.deadlines.close()
    await this.#parts.quotas?.close()
    await this.#parts.sharedCache?.close()
    try {
      await this.#store.close()
    } catch (error) {
      this.#logger.warn('The state store did not close cleanly.', { cause: describeError(error) })
    }
  }
}

/**
 * Builds a gateway and reads its state. Servers are not started; nothing listens yet.
 * @throws GatewayError `config` for rules that do not compile
 */
export async function createGateway(config: Config, options: GatewayOptions): Promise<Gateway> {
  const gateway = new Gateway(config, await compilePolicies(config, options.logger), options)
  await gateway.load()
  return gateway
}
