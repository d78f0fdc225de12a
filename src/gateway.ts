import type { Readable, Writable } from 'node:stream'
import { Catalog, WHOLE } from './catalog/catalog.ts'
import type { Config, ServerConfig } from './config/types.ts'
import { compose, type Middleware } from './core/compose.ts'
import { Deadlines } from './core/deadlines.ts'
import { describeError, GatewayError } from './core/errors.ts'
import type { Conversation, Exchange, Outcome } from './core/exchange.ts'
import type { Logger } from './core/logger.ts'
import { ANONYMOUS, LOCAL, type Principal } from './core/principal.ts'
import type { ListKind, Route } from './core/route.ts'
import type { HttpFront } from './front/http.ts'
import { listChangedMethod } from './front/modern.ts'
import type { Service } from './front/service.ts'
import { StdioFront } from './front/stdio.ts'
import { budget } from './pipeline/budget.ts'
import { dispatch } from './pipeline/dispatch.ts'
import { meter } from './pipeline/meter.ts'
import { observe } from './pipeline/observe.ts'
import { park } from './pipeline/park.ts'
import { rounds } from './pipeline/rounds.ts'
import { tasks } from './pipeline/tasks.ts'
import { Quotas } from './quota/quotas.ts'
import { UsageResource } from './quota/usage.ts'
import { LearnedOwners } from './relay/learned.ts'
import { Parking } from './relay/parking.ts'
import { Relay } from './relay/relay.ts'
import { TaskIds } from './relay/task-ids.ts'
import { Subscriptions, type Subscriber } from './relay/subscriptions.ts'
import { Seal } from './relay/seal.ts'
import { Router } from './router.ts'
import type { Store } from './state/store.ts'
import { statusOf, type ServerStatus } from './status.ts'
import type { Link } from './upstream/link.ts'
import { Pool } from './upstream/pool.ts'
import type { Slot } from './upstream/slot.ts'
import type { Era } from './protocol/revisions.ts'
import { VERSION } from './version.ts'

export interface GatewayOptions {
  readonly logger: Logger
  /** Closed with the gateway. */
  readonly store: Store
}

/** How long a refresh of old lists waits, so that it does not compete with a client's first requests. */
const REFRESH_DELAY_MS = 2000

/** The links of single sessions do not each list their server anew. */
const RECENT_MS = 60_000

/**
 * A running gateway. This file is the composition root: configuration in, everything wired, in the order a call meets it. Servers
 * are started when they are first needed.
 */
export class Gateway implements Service {
  readonly serverInfo: string
  readonly #config: Config
  readonly #logger: Logger
  readonly #store: Store
  readonly #deadlines = new Deadlines()
  readonly #pools = new Map<string, Pool>()
  readonly #catalog: Catalog
  readonly #parking: Parking
  readonly #subscriptions: Subscriptions
  readonly #relay: Relay
  readonly #router: Router
  readonly #quotas: Quotas | undefined
  readonly #listListeners = new Map<(kinds: readonly ListKind[]) => void, string>()
  readonly #fronts = new Set<{ close(): void | Promise<void> }>()
  #http: HttpFront | undefined
  #refreshTimer: NodeJS.Timeout | undefined
  #closing: Promise<void> | undefined

  constructor(config: Config, options: GatewayOptions) {
    this.#config = config
    this.#logger = options.logger
    this.#store = options.store
    this.serverInfo = JSON.stringify({ name: 'mcp-manifold', title: 'Manifold', version: VERSION })

    for (const server of config.servers) this.#pools.set(server.name, this.#pool(server))
    this.#catalog = new Catalog({
      config,
      store: options.store,
      logger: this.#logger,
      serverInfo: this.serverInfo,
      link: (server, exchange) => this.#poolOf(server).any(exchange),
      onChange: (view, kinds) => this.#tell(view.name, kinds),
    })
    const seal = new Seal(options.store)
    this.#parking = new Parking(seal, this.#deadlines, this.#logger)
    this.#subscriptions = new Subscriptions({
      pool: server => this.#poolOf(server),
      logger: this.#logger,
      onMissed: server => this.#catalog.refreshSoon(server),
    })
    this.#relay = new Relay({
      logger: this.#logger,
      subscriptions: this.#subscriptions,
      // Listed over the link that said so: of a server's processes, only one may have changed.
      onListChanged: link => this.#catalog.refreshSoon(link.server.name, link),
      sees: (view, server) => this.#catalog.view(view)?.servers.has(server) ?? false,
    })

    const learned = new LearnedOwners()
    const taskIds = new TaskIds(seal)
    const quotas = Quotas.of({ config, store: options.store, logger: this.#logger })
    this.#quotas = quotas

    // The way of a call, outermost first.
    const pipeline: Middleware[] = [
      observe(this.#logger),
      ...(quotas ? [meter(quotas)] : []),
      park(this.#parking, seal),
      rounds(seal),
      tasks(taskIds),
      ...(quotas ? [budget(quotas)] : []),
    ]
    const call = compose(
      pipeline,
      dispatch({
        pools: this.#pools,
        learned,
        uriMap: (view, server) => this.#catalog.view(view)?.uriMap(server),
      }),
    )
    this.#router = new Router({
      catalog: this.#catalog,
      learned,
      taskIds,
      subscriptions: this.#subscriptions,
      usage: quotas && new UsageResource(quotas),
      call,
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

  /** Serves one client over a pair of streams; resolves when that client is gone. */
  async serveStdio(input: Readable, output: Writable): Promise<void> {
    const front = new StdioFront({
      service: this,
      input,
      output,
      principal: LOCAL,
      view: WHOLE,
      maxMessageBytes: this.#config.gateway.http.maxBodyBytes,
      logger: this.#logger,
    })
    this.#fronts.add(front)
    await front.serve()
    this.#fronts.delete(front)
  }

  /** Serves HTTP on the configured address. @throws GatewayError `config` when the address cannot be used */
  async listen(): Promise<{ url: string; port: number }> {
    const { HttpFront } = await import('./front/http.ts')
    this.#http = new HttpFront({
      service: this,
      config: this.#config.gateway.http,
      principal: ANONYMOUS,
      logger: this.#logger,
      readiness: () => this.#readiness(),
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

  viewOf(endpoint: string, _principal: Principal): string | undefined {
    return this.#catalog.view(endpoint)?.name
  }

  capabilities(view: string, era: Era): Record<string, unknown> {
    const found = this.#catalog.view(view)
    return found ? this.#router.capabilities(found, era) : {}
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
  }

  rootsChanged(conversation: Conversation): void {
    for (const pool of this.#pools.values())
      for (const link of pool.links)
        if (link.owner === conversation) link.notify('notifications/roots/list_changed', undefined)
  }

  subscribe(exchange: Exchange, uris: readonly string[], subscriber: Subscriber): Promise<string[]> {
    return this.#router.subscribe(exchange, uris, subscriber)
  }

  unsubscribe(subscriber: Subscriber): void {
    this.#subscriptions.leave(subscriber)
  }

  onListChanged(view: string, listener: (kinds: readonly ListKind[]) => void): () => void {
    // Only a view that has been made can be seen to change.
    this.#catalog.view(view)
    this.#listListeners.set(listener, view)
    return () => this.#listListeners.delete(listener)
  }

  handle(exchange: Exchange): Promise<Outcome> {
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
      listener: {
        onNotification: (link, method, params, among) =>
          this.#relay.onNotification(link, method, params, among),
        onRequest: (link, method, params, among, cancellation) =>
          this.#relay.onRequest(link, method, params, among, cancellation),
        onLost: (link, error) => {
          this.#subscriptions.lost(link)
          pool.slotOf(link)?.lost(link, error)
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
    if (!slot.key.owner || Date.now() - fetchedAt > RECENT_MS) this.#catalog.refreshSoon(link.server.name)
    this.#subscriptions.opened(slot, link)
    for (const { logLevel } of this.#relay.conversations)
      if (logLevel !== undefined) link.wantLogLevel(logLevel)
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

  #readiness(): { ready: boolean; servers: unknown } {
    const status = this.status()
    const ready = status.every(
      ({ required, state, listed }) => !required || state === 'ready' || (state === 'idle' && listed),
    )
    return {
      ready,
      servers: status.map(({ name, state, required, error }) => ({ name, state, required, error })),
    }
  }

  async #close(): Promise<void> {
    clearTimeout(this.#refreshTimer)
    await Promise.all([...this.#fronts].map(front => front.close()))
    const catalog = this.#catalog.close()
    await Promise.all([...this.#pools.values()].map(pool => pool.close()))
    await catalog
    this.#deadlines.close()
    await this.#quotas?.close()
    try {
      await this.#store.close()
    } catch (error) {
      this.#logger.warn('The state store did not close cleanly.', { cause: describeError(error) })
    }
  }
}

/** Builds a gateway and reads its state. Servers are not started; nothing listens yet. */
export async function createGateway(config: Config, options: GatewayOptions): Promise<Gateway> {
  const gateway = new Gateway(config, options)
  await gateway.load()
  return gateway
}
