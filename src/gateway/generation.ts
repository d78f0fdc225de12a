import { composeCalls, composeRequests, type RequestChains } from './chains.ts'
import { Cache } from '../cache/cache.ts'
import { SharedCache } from '../cache/shared/shared.ts'
import { Catalog } from '../catalog/catalog.ts'
import { Equivalence } from '../catalog/equivalence.ts'
import type { Config, ServerConfig } from '../config/types.ts'
import { Deadlines } from '../core/deadlines.ts'
import { GatewayError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { Audit } from '../observe/audit.ts'
import { DebugTrace } from '../observe/debug-trace.ts'
import { checkCall, recordDecision } from '../middleware/authorize.ts'
import { fallbacksOf } from '../middleware/fallback.ts'
import { ConcurrencyLimiter } from '../middleware/queue/queue.ts'
import type { Policies } from '../policy/policies.ts'
import { Quotas } from '../quota/quotas.ts'
import { UsageResource } from '../quota/usage.ts'
import { ResourceOwners } from '../catalog/resource-owners.ts'
import { LegacyTasks } from '../tasks/legacy-tasks.ts'
import { ListChanges } from '../relay/list-changes.ts'
import { SuspendedCalls, type Awaited } from '../bridge/suspended-calls.ts'
import { NotificationRelay } from '../relay/notification-relay.ts'
import { TaskIds } from '../tasks/task-ids.ts'
import { TaskListeners } from '../relay/task-listeners.ts'
import { Subscriptions } from '../relay/subscriptions.ts'
import { Seal } from '../state/seal.ts'
import { Router } from './router.ts'
import type { Store } from '../state/store.ts'
import { LinksPerClient } from '../upstream/pool/links-per-client.ts'
import type { Link } from '../upstream/link/link.ts'
import { notBefore } from '../upstream/pool/next-start.ts'
import { Pool } from '../upstream/pool/pool.ts'
import type { LinkSlot } from '../upstream/pool/link-slot.ts'

export interface GenerationOptions {
  readonly config: Config
  /** The rules of the configuration, compiled. */
  readonly policies: Policies
  readonly store: Store
  readonly logger: Logger
  /** Raw JSON of the gateway's own `serverInfo`. */
  readonly serverInfo: string
  /** The calls that the end of the gateway waits for. */
  readonly calls: Awaited
}

/** The links of single sessions do not each list their server anew. */
const RECENT_MS = 60_000

/** The parts of a gateway between its fronts and its servers, wired to each other; in the order in which a call meets them. */
export class Generation {
  readonly policies: Policies
  readonly quotas: Quotas | undefined
  readonly audit: Audit | undefined
  /** `undefined` where the log does not show what clients do. */
  readonly trace: DebugTrace | undefined
  readonly router: Router
  readonly chains: RequestChains
  readonly catalog: Catalog
  readonly cache: Cache
  /** `undefined` where nothing may be kept, or nobody else could know of it. */
  readonly sharedCache: SharedCache | undefined
  readonly limiter: ConcurrencyLimiter
  readonly equivalence: Equivalence
  readonly pools: ReadonlyMap<string, Pool>
  readonly relay: NotificationRelay
  readonly subscriptions: Subscriptions
  readonly listChanges: ListChanges
  readonly taskListeners: TaskListeners
  readonly legacyTasks: LegacyTasks
  readonly deadlines = new Deadlines()

  constructor(options: GenerationOptions) {
    const { config, policies, store, logger, serverInfo, calls } = options
    const { asks, audit, maxLinksPerClient } = config.gateway
    this.policies = policies
    this.quotas = Quotas.of({ config, store, logger })
    this.audit = audit && new Audit({ ...audit, logger, ruleOn: exchange => this.router.ruleOn(exchange) })

    this.trace = logger.debugs ? new DebugTrace(logger, exchange => this.router.ruleOn(exchange)) : undefined

    const clientLinks = new LinksPerClient(maxLinksPerClient)
    this.pools = new Map(
      config.servers.map(server => [server.name, this.#pool(server, clientLinks, options)]),
    )
    this.catalog = new Catalog({
      config,
      store,
      logger,
      serverInfo,
      link: (server, exchange) => this.poolOf(server).any(exchange),
      links: server => this.poolOf(server).links,
      notBefore: server => notBefore(this.poolOf(server).slots),
      policy: key => policies.byKey(key),
      watched: () => this.listChanges.watched(),
      onChange: (name, kinds) => this.listChanges.tell(name, kinds),
    })
    this.equivalence = new Equivalence(logger, server => this.catalog.refreshSoon(server))
    const learned = new ResourceOwners()
    const kept = config.servers.filter(({ cache, tools: list }) => cache ?? list.some(tool => tool.cache))
    this.sharedCache =
      kept.length > 0 && store.name !== 'memory'
        ? new SharedCache({
            ...config.gateway.cache,
            store,
            servers: kept.map(({ name }) => name),
            cache: () => this.cache,
            logger,
          })
        : undefined
    this.cache = new Cache({
      servers: config.servers,
      bounds: config.gateway.cache,
      tier: this.sharedCache?.tier,
      onInvalidated: (server, tags) => this.sharedCache?.outdated(server, tags),
      snapshot: server => this.catalog.snapshot(server),
      urisKey: (view, server) => this.catalog.view(view)?.merged.urisKey(server) ?? '',
      onLinks: (principal, server, result) => learned.learn(principal, server, result),
      serverInfo,
    })
    this.limiter = new ConcurrencyLimiter({
      servers: config.servers,
      gateway: config.gateway,
      weights: new Map(config.clients.map(({ name, weight }) => [name, weight])),
      deadlines: this.deadlines,
    })

    // The way back.
    this.subscriptions = new Subscriptions({
      pool: server => this.poolOf(server),
      logger,
      maxPerSubscriber: config.gateway.listen.maxResources,
      hears: (view, server, own) => this.catalog.view(view)?.hears(server, own) ?? false,
      onMissed: server => this.catalog.refreshSoon(server),
    })
    this.taskListeners = new TaskListeners({
      pool: server => this.poolOf(server),
      listenOf: link => this.subscriptions.listenOf(link),
      logger,
    })
    this.relay = new NotificationRelay({
      logger,
      subscriptions: this.subscriptions,
      taskListeners: this.taskListeners,
      // Listed over the link that said so: of a server's processes, only one may have changed.
      onListChanged: link => {
        const { replicas } = this.poolOf(link.server.name)
        this.cache.invalidate(link.server.name, 'server')
        // A server may say so while it is still being greeted: nothing can be listed over that link yet.
        if (!link.usable) return this.catalog.refreshSoon(link.server.name)
        if (replicas.several) void this.equivalence.look(replicas, link)
        this.catalog.refreshSoon(link.server.name, link)
      },
      onResourceChanged: (server, uri) => this.cache.resourceChanged(server, uri),
      sees: (view, server) => this.catalog.view(view)?.servers.has(server) ?? false,
    })
    this.listChanges = new ListChanges(() => this.relay.conversations)

    const seal = new Seal(store)
    const taskIds = new TaskIds(seal)
    this.legacyTasks = new LegacyTasks(taskIds, this.deadlines)
    const serverOf = (server: string): ServerConfig => this.poolOf(server).server
    const onDecision = recordDecision(logger)
    const call = composeCalls({
      logger,
      // Which way.
      fallbackOf: fallbacksOf(config.servers),
      routeTo: ({ view }, server, tool) => this.catalog.view(view)?.toolOf(server, tool),
      onDecision,
      quotas: this.quotas,
      // What is known.
      cache: this.cache,
      deadlines: this.deadlines,
      timeoutMs: server => serverOf(server).timeoutMs,
      // Between the eras.
      seal,
      suspendedCalls: new SuspendedCalls(seal, this.deadlines, asks, calls, logger),
      ...asks,
      serverOf,
      taskIds,
      legacyTasks: this.legacyTasks,
      runsTasks: server => this.catalog.runsTasks(server),
      // To the server.
      limiter: this.limiter,
      pools: this.pools,
      learned,
      called: (exchange, server) => this.catalog.afterCalls.called(exchange, server),
      uriMap: (view, server) => this.catalog.view(view)?.uriMap(server),
    })
    this.router = new Router({
      catalog: this.catalog,
      learned,
      taskIds,
      taskListeners: this.taskListeners,
      legacyTasks: this.legacyTasks,
      subscriptions: this.subscriptions,
      usage: this.quotas && new UsageResource(this.quotas),
      call,
      authorized: (exchange, route) => checkCall(exchange, route, onDecision),
      serverInfo,
      logger,
    })
    this.chains = composeRequests(
      { quotas: this.quotas, auditLog: this.audit, debugTrace: this.trace },
      exchange => this.router.handle(exchange),
    )
  }

  /** @throws GatewayError `internal` for a name that is not in the configuration */
  poolOf(server: string): Pool {
    const pool = this.pools.get(server)
    if (!pool) throw new GatewayError('internal', `There is no server "${server}".`)
    return pool
  }

  /** Server → names of its drained replicas, `''` for all of them; every other one is in use. */
  drain(drained: ReadonlyMap<string, ReadonlySet<string>>): void {
    for (const [name, { membership }] of this.pools) membership.drain(drained.get(name) ?? new Set())
  }

  #pool(
    server: ServerConfig,
    clientLinks: LinksPerClient,
    { config, logger, serverInfo }: GenerationOptions,
  ): Pool {
    const pool: Pool = new Pool({
      server,
      deadlines: this.deadlines,
      logger: logger.child({ server: server.name }),
      clientInfo: serverInfo,
      clientLinks,
      zone: config.gateway.zone,
      dns: config.gateway.dns,
      drainTimeoutMs: config.gateway.drainTimeoutMs,
      onReplicasChanged: () => this.subscriptions.regroup(server.name),
      listener: {
        onNotification: (link, method, params, among) =>
          this.relay.onNotification(link, method, params, among),
        onRequest: (link, method, params, among, cancellation) =>
          this.relay.onRequest(link, method, params, among, cancellation),
        onLost: (link, error) => {
          this.subscriptions.lost(link)
          this.legacyTasks.lost(link)
          pool.lost(link, error)
        },
        onGap: link => {
          this.catalog.refreshSoon(link.server.name, link)
          this.subscriptions.missed(link)
        },
        onUnreachable: (slot, error) => pool.unreachable(slot, error),
        onOpen: (slot, link, before) => {
          // What it would still say unasked is heard from the new one.
          if (before) this.subscriptions.lost(before)
          pool.opened(slot, link)
          this.#opened(slot, link)
        },
      },
    })
    return pool
  }

  /** A server that has just been started may offer something else than last time, and knows nothing of what clients wanted to hear. */
  #opened(slot: LinkSlot, link: Link): void {
    const fetchedAt = this.catalog.listedAt(link)
    if (!slot.key.owner || slot.reopened || Math.abs(Date.now() - fetchedAt) > RECENT_MS)
      this.catalog.refreshSoon(link.server.name, link)
    const { replicas } = this.poolOf(link.server.name)
    if (replicas.several && !link.replica.tools) void this.equivalence.look(replicas, link)
    this.subscriptions.opened(slot, link)
    this.taskListeners.opened(slot, link)
    for (const { logLevel } of link.owner ? [link.owner] : this.relay.conversations)
      if (logLevel !== undefined) link.wantLogLevel(logLevel)
  }
}
