import type { Readable, Writable } from 'node:stream'
import { checkExposure } from './auth/exposure.ts'
import { Cache } from './cache/cache.ts'
import { Catalog } from './catalog/catalog.ts'
import { changedKinds } from './catalog/view.ts'
import { WHOLE } from './catalog/views.ts'
import type { AsksConfig, Config, ServerConfig } from './config/types.ts'
import { compose, type Middleware } from './core/compose.ts'
import { Deadlines } from './core/deadlines.ts'
import { describeError, GatewayError } from './core/errors.ts'
import type { Conversation, Exchange, Outcome } from './core/exchange.ts'
import type { Logger } from './core/logger.ts'
import { clientPrincipal, LOCAL, type Principal } from './core/principal.ts'
import type { Decision, ListKind, Route } from './core/route.ts'
import type { HttpFront } from './front/http.ts'
import { ListenStreams } from './front/listen-streams.ts'
import { listChangedMethod } from './front/modern.ts'
import type { Service } from './front/service.ts'
import { StdioFront } from './front/stdio.ts'
import { Audit } from './observe/audit.ts'
import { authorize, checkCall, logShadowed } from './pipeline/authorize.ts'
import { budget } from './pipeline/budget.ts'
import { keep, recall } from './pipeline/cache.ts'
import { coalesce } from './pipeline/coalesce.ts'
import { dispatch } from './pipeline/dispatch.ts'
import { meter } from './pipeline/meter.ts'
import { observe } from './pipeline/observe.ts'
import { park } from './pipeline/park.ts'
import { Places, queue } from './pipeline/queue.ts'
import { rounds } from './pipeline/rounds.ts'
import { tasks } from './pipeline/tasks.ts'
import { compilePolicies, type Policies } from './policy/policies.ts'
import { Quotas } from './quota/quotas.ts'
import { UsageResource } from './quota/usage.ts'
import { LearnedOwners } from './relay/learned.ts'
import { LegacyTasks } from './relay/legacy-tasks.ts'
import { Parking } from './relay/parking.ts'
import { Relay } from './relay/relay.ts'
import { TaskIds } from './relay/task-ids.ts'
import { TaskListeners } from './relay/task-listeners.ts'
import { Subscriptions, type Subscriber } from './relay/subscriptions.ts'
import { Seal } from './relay/seal.ts'
import { Router } from './router.ts'
import type { Store } from './state/store.ts'
import { readinessOf, statusOf, type ServerStatus } from './status.ts'
import { ClientLinks } from './upstream/client-links.ts'
import type { Link } from './upstream/link.ts'
import { Pool } from './upstream/pool.ts'
import type { Slot } from './upstream/slot.ts'
import { VERSION } from './version.ts'

export interface GatewayOptions {
  readonly logger: Logger
  /** Closed with the gateway. */
  readonly store: Store
}

/** For whom stdio is served. */
export interface StdioOptions {
  /** Name of a profile or a server; everything when left out. */
  readonly endpoint?: string | undefined
  /** Name of the configured client that is served; the local user when left out. */
  readonly client?: string | undefined
}

/** How long a refresh of old lists waits, so that it does not compete with a client's first requests. */
const REFRESH_DELAY_MS = 2000

/** What a listen stream has been answered with when it has only begun. */
const NOTHING: Outcome = { kind: 'ready', text: '' }

/** The links of single sessions do not each list their server anew. */
const RECENT_MS = 60_000

/**
 * A running gateway. This file is the composition root: configuration in, everything wired, in the order a call meets it. Servers
 * are started when they are first needed.
 */
export class Gateway implements Service {
  readonly serverInfo: string
  readonly asks: AsksConfig
  readonly listens: ListenStreams
  readonly #config: Config
  readonly #logger: Logger
  readonly #store: Store
  readonly #deadlines = new Deadlines()
  readonly #pools = new Map<string, Pool>()
  readonly #clientLinks: ClientLinks
  readonly #policies: Policies
  readonly #catalog: Catalog
  readonly #parking: Parking
  readonly #places: Places
  readonly #audit: Audit | undefined
  readonly #subscriptions: Subscriptions
  readonly #taskListeners: TaskListeners
  readonly #legacyTasks: LegacyTasks
  readonly cache: Cache
  readonly #relay: Relay
  readonly #router: Router
  readonly #quotas: Quotas | undefined
  readonly #listListeners = new Map<(kinds: readonly ListKind[]) => void, string>()
  readonly #fronts = new Set<{ close(): void | Promise<void> }>()
  #http: HttpFront | undefined
  #refreshTimer: NodeJS.Timeout | undefined
  #closing: Promise<void> | undefined

  constructor(config: Config, policies: Policies, options: GatewayOptions) {
    this.#config = config
    this.#policies = policies
    this.#logger = options.logger
    this.#store = options.store
    this.serverInfo = JSON.stringify({ name: 'mcp-manifold', title: 'Manifold', version: VERSION })

    const { asks, listen, maxLinksPerClient } = config.gateway
    this.asks = asks
    this.listens = new ListenStreams(listen)
    this.#clientLinks = new ClientLinks(maxLinksPerClient)
    for (const server of config.servers) this.#pools.set(server.name, this.#pool(server))
    this.#catalog = new Catalog({
      config,
      store: options.store,
      logger: this.#logger,
      serverInfo: this.serverInfo,
      link: (server, exchange) => this.#poolOf(server).any(exchange),
      policy: key => policies.byKey(key),
      watched: () => this.#watched(),
      onChange: (view, kinds) => this.#tell(view.name, kinds),
    })
    const seal = new Seal(options.store)
    this.#parking = new Parking(seal, this.#deadlines, asks, this.#logger)
    this.#subscriptions = new Subscriptions({
      pool: server => this.#poolOf(server),
      logger: this.#logger,
      hears: (view, server, own) => this.#catalog.view(view)?.hears(server, own) ?? false,
      onMissed: server => this.#catalog.refreshSoon(server),
    })
    this.#taskListeners = new TaskListeners({
      pool: server => this.#poolOf(server),
      listenOf: link => this.#subscriptions.listenOf(link),
      logger: this.#logger,
    })
    const learned = new LearnedOwners()
    this.cache = new Cache({
      servers: config.servers,
      bounds: config.gateway.cache,
      snapshot: server => this.#catalog.snapshot(server),
      urisKey: (view, server) => this.#catalog.view(view)?.merged.urisKey(server) ?? '',
      onLinks: (principal, server, result) => learned.learn(principal, server, result),
      serverInfo: this.serverInfo,
    })
    this.#relay = new Relay({
      logger: this.#logger,
      subscriptions: this.#subscriptions,
      taskListeners: this.#taskListeners,
      // Listed over the link that said so: of a server's processes, only one may have changed.
      onListChanged: link => {
        this.cache.outdate(link.server.name, 'server')
        this.#catalog.refreshSoon(link.server.name, link)
      },
      onResourceChanged: (server, uri) => this.cache.resourceChanged(server, uri),
      sees: (view, server) => this.#catalog.view(view)?.servers.has(server) ?? false,
    })

    const { audit } = config.gateway
    this.#audit = audit && new Audit({ ...audit, logger: this.#logger })
    this.#places = new Places({
      servers: config.servers,
      gateway: config.gateway,
      weights: new Map(config.clients.map(({ name, weight }) => [name, weight])),
      deadlines: this.#deadlines,
    })
    const taskIds = new TaskIds(seal)
    const quotas = Quotas.of({ config, store: options.store, logger: this.#logger })
    this.#quotas = quotas
    this.#legacyTasks = new LegacyTasks(taskIds, this.#deadlines)

    const rootsOf = (server: string): readonly unknown[] | undefined => this.#poolOf(server).server.roots

    const onDecision = logShadowed(this.#logger)

    // The way of a call, outermost first.
    const pipeline: Middleware[] = [
      observe(this.#logger),
      authorize(onDecision),
      ...(quotas ? [meter(quotas)] : []),
      recall(this.cache, this.#logger),
      coalesce({ deadlines: this.#deadlines, timeoutMs: server => this.#poolOf(server).server.timeoutMs }),
      keep(this.cache),
      park(this.#parking, seal),
      rounds({ seal, ...asks, rootsOf }),
      tasks({
        ids: taskIds,
        legacyTasks: this.#legacyTasks,
        runsTasks: server => this.#catalog.runsTasks(server),
        rootsOf,
      }),
      queue(this.#places),
      ...(quotas ? [budget(quotas)] : []),
    ]
    const call = compose(
      pipeline,
      dispatch({
        pools: this.#pools,
        learned,
        tasks: this.#legacyTasks,
        uriMap: (view, server) => this.#catalog.view(view)?.uriMap(server),
      }),
    )
    this.#router = new Router({
      catalog: this.#catalog,
      learned,
      taskIds,
      taskListeners: this.#taskListeners,
      legacyTasks: this.#legacyTasks,
      subscriptions: this.#subscriptions,
      usage: quotas && new UsageResource(quotas),
      call,
      authorized: (exchange, route) => checkCall(exchange, route, onDecision),
      serverInfo: this.serverInfo,
      logger: this.#logger,
    })
  }

  /** Reads what earlier runs left: lists and eras. Starts no server. */
  async load(): Promise<void> {
    await this.#catalog.load()
    const dayMs = 24 * 60 * 60 * 1000
    for (const [name, pool] of this.#pools) {
      const snapshot = this.#catalog.snapshot(name)
      // A verdict of "legacy" never fails by itself, so it is only believed for a day.
      if (snapshot && (snapshot.era === 'modern' || Date.now() - snapshot.eraAt < dayMs))
        pool.era = snapshot.era
    }
    this.#refreshTimer = setTimeout(() => {
      for (const server of this.#catalog.stale()) void this.#catalog.refresh(server)
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
    const view = this.viewOf(endpoint, principal)
    if (view === undefined) throw new GatewayError('config', this.#noEndpoint(endpoint, principal))
    const front = new StdioFront({
      service: this,
      input,
      output,
      principal,
      view,
      maxMessageBytes: this.#config.gateway.http.maxBodyBytes,
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
      import('./front/http.ts'),
      import('./auth/gatekeeper.ts'),
    ])
    this.#http = new HttpFront({
      service: this,
      config: http,
      authenticator: new Gatekeeper({ auth, http, clients, store: this.#store, logger: this.#logger }),
      logger: this.#logger,
      readiness: () => readinessOf(this.status()),
    })
    this.#fronts.add(this.#http)
    return await this.#http.listen()
  }

  /** Lists every server that has never been listed, and starts those that are required. Resolves when each has succeeded or failed. */
  async warmUp(): Promise<ServerStatus[]> {
    await Promise.all(
      this.#config.servers.map(async server => {
        if (!this.#catalog.snapshot(server.name)) await this.#catalog.refresh(server.name)
        if (server.required) await Promise.resolve(this.#poolOf(server.name).any()).catch(() => undefined)
      }),
    )
    return this.status()
  }

  status(): ServerStatus[] {
    return this.#config.servers.map(server => statusOf(server, this.#poolOf(server.name), this.#catalog))
  }

  /** Legacy sessions open over HTTP. */
  get sessions(): number {
    return this.#http?.sessions ?? 0
  }

  /** Ends every conversation, then every server it started. Idempotent; resolves when nothing is left. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  // Service

  viewOf(endpoint: string, principal: Principal): string | undefined {
    return this.#catalog.views.of(endpoint, this.#policies.of(principal))
  }

  capabilities(view: string, protocolVersion: string): Record<string, unknown> {
    const found = this.#catalog.view(view)
    return found ? this.#router.capabilities(found, protocolVersion) : {}
  }

  instructions(view: string): string | undefined {
    return this.#catalog.view(view)?.instructions
  }

  headerParams(view: string, tool: string): Route['headerParams'] {
    return this.#catalog.view(view)?.tool(tool)?.headerParams
  }

  join(conversation: Conversation): void {
    this.#relay.join(conversation)
  }

  leave(conversation: Conversation): void {
    this.#relay.leave(conversation)
    for (const pool of this.#pools.values()) pool.leave(conversation)
    this.#legacyTasks.leave(conversation)
  }

  worksFor(conversation: Conversation): boolean {
    return this.#legacyTasks.worksFor(conversation)
  }

  moved(conversation: Conversation, before: string): void {
    const [old, view] = [this.#catalog.view(before), this.#catalog.view(conversation.view)]
    if (!old || !view) return
    for (const method of new Set(changedKinds(old, view).map(listChangedMethod)))
      conversation.notify(method, undefined)
    this.#subscriptions.retain(
      conversation,
      conversation.view,
      (server, uri) => this.#router.ownerOf(conversation, uri) === server,
    )
  }

  rootsChanged(conversation: Conversation): void {
    for (const pool of this.#pools.values())
      for (const link of pool.server.roots ? [] : pool.links)
        if (link.owner === conversation) link.notify('notifications/roots/list_changed', undefined)
  }

  async subscribe(exchange: Exchange, uris: readonly string[], subscriber: Subscriber): Promise<string[]> {
    const since = performance.now()
    const heard = await this.#router.subscribe(exchange, uris, subscriber)
    this.#audit?.note(exchange, since, NOTHING, undefined)
    return heard
  }

  listenToTasks(exchange: Exchange, ids: readonly string[], subscriber: Subscriber): Promise<string[]> {
    return this.#router.listenToTasks(exchange, ids, subscriber)
  }

  unsubscribe(subscriber: Subscriber): void {
    this.#subscriptions.leave(subscriber)
    this.#taskListeners.leave(subscriber)
  }

  onListChanged(view: string, listener: (kinds: readonly ListKind[]) => void): () => void {
    // Only a view that has been made can be seen to change.
    this.#catalog.view(view)
    this.#listListeners.set(listener, view)
    return () => this.#listListeners.delete(listener)
  }

  /** What the rules say of the thing a request names: for the record, never for its answer. */
  decisionOn(exchange: Exchange): Decision | undefined {
    return this.#router.decisionOn(exchange)
  }

  handle(exchange: Exchange): Promise<Outcome> {
    if (!this.#audit) return this.#admit(exchange)
    return this.#audit.follow(exchange, performance.now(), this.#admit(exchange))
  }

  /** What every request has to pass, whatever it is about. */
  #admit(exchange: Exchange): Promise<Outcome> {
    const gate = this.#quotas?.gate(exchange.principal)
    return gate ? gate.pass(() => this.#router.handle(exchange)) : this.#router.handle(exchange)
  }

  // Wiring

  #pool(server: ServerConfig): Pool {
    const logger = this.#logger.child({ server: server.name })
    const pool: Pool = new Pool({
      server,
      deadlines: this.#deadlines,
      logger,
      clientInfo: this.serverInfo,
      clientLinks: this.#clientLinks,
      listener: {
        onNotification: (link, method, params, among) =>
          this.#relay.onNotification(link, method, params, among),
        onRequest: (link, method, params, among, cancellation) =>
          this.#relay.onRequest(link, method, params, among, cancellation),
        onLost: (link, error) => {
          this.#subscriptions.lost(link)
          this.#legacyTasks.lost(link)
          pool.lost(link, error)
        },
        onGap: link => {
          this.#catalog.refreshSoon(link.server.name, link)
          this.#subscriptions.missed(link)
        },
        onOpen: (slot, link, era) => {
          pool.opened(slot, link, era)
          this.#opened(slot, link)
        },
      },
    })
    return pool
  }

  /** A server that has just been started may offer something else than last time, and knows nothing of what clients wanted to hear. */
  #opened(slot: Slot, link: Link): void {
    const fetchedAt = this.#catalog.snapshot(link.server.name)?.fetchedAt ?? 0
    if (!slot.key.owner || slot.reopened || Date.now() - fetchedAt > RECENT_MS)
      this.#catalog.refreshSoon(link.server.name)
    this.#subscriptions.opened(slot, link)
    this.#taskListeners.opened(slot, link)
    for (const { logLevel } of link.owner ? [link.owner] : this.#relay.conversations)
      if (logLevel !== undefined) link.wantLogLevel(logLevel)
  }

  /** Views of which somebody wants to know when they change. */
  *#watched(): Generator<string> {
    for (const { view } of this.#relay.conversations) yield view
    yield* this.#listListeners.values()
  }

  #noEndpoint(name: string, principal: Principal): string {
    if (name === WHOLE) return `The client "${principal.name}" may use nothing. Allow it something.`
    const names = this.#config.profiles.map(profile => profile.name)
    const known = names.length > 0 ? `There are: ${names.join(', ')}.` : 'Add it to "profiles".'
    return `There is no profile "${name}" in the configuration, or nothing in it that may be used. ${known}`
  }

  #tell(view: string, kinds: readonly ListKind[]): void {
    const methods = new Set(kinds.map(listChangedMethod))
    for (const conversation of this.#relay.conversations)
      if (conversation.view === view) for (const method of methods) conversation.notify(method, undefined)
    for (const [listener, listened] of this.#listListeners) if (listened === view) listener(kinds)
  }

  #poolOf(server: string): Pool {
    const pool = this.#pools.get(server)
    if (!pool) throw new GatewayError('internal', `There is no server "${server}".`)
    return pool
  }

  async #close(): Promise<void> {
    clearTimeout(this.#refreshTimer)
    // First, and with time for the answers to leave: those who wait hear why they do not get their turn.
    const { waiting } = this.#places
    this.#places.close()
    if (waiting > 0) await new Promise(resolve => setImmediate(resolve))
    await Promise.all([...this.#fronts].map(front => front.close()))
    const catalog = this.#catalog.close()
    await Promise.all([...this.#pools.values()].map(pool => pool.close()))
    await catalog
    await this.#audit?.close()
    this.#deadlines.close()
    await this.#quotas?.close()
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
