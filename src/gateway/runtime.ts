import type { SuspendedClient } from '../bridge/suspended-call.ts'
import { SuspendedCalls, type Awaited } from '../bridge/suspended-calls.ts'
import { Cache } from '../cache/cache.ts'
import type { Catalog } from '../catalog/catalog.ts'
import { Equivalence } from '../catalog/equivalence.ts'
import { ResourceOwners } from '../catalog/resource-owners.ts'
import { ServerLists } from '../catalog/server-lists.ts'
import { spokenSince } from '../catalog/snapshot.ts'
import { StaleLists } from '../catalog/stale-lists.ts'
import type { Config, ServerConfig } from '../config/types.ts'
import { ClientValues } from '../credentials/client-values.ts'
import { fixesValues, linkCredentials } from '../credentials/upstream-credentials.ts'
import { CLOCK } from '../core/clock.ts'
import { Deadlines } from '../core/deadlines.ts'
import { describeError } from '../core/errors.ts'
import type { EventSink } from '../core/event-bus.ts'
import type { Conversation } from '../core/exchange.ts'
import type { Logger } from '../core/logger.ts'
import { removedServer } from '../core/removed-server.ts'
import { ConcurrencyLimiter } from '../middleware/queue/queue.ts'
import { LimitLeases } from '../quota/limit-leases.ts'
import { ListChanges } from '../relay/list-changes.ts'
import { NotificationRelay } from '../relay/notification-relay.ts'
import { Subscriptions } from '../relay/subscriptions.ts'
import { TaskListeners } from '../relay/task-listeners.ts'
import { Seal } from '../state/seal.ts'
import type { Store } from '../state/store.ts'
import { LegacyTasks } from '../tasks/legacy-tasks.ts'
import { TaskIds } from '../tasks/task-ids.ts'
import type { Link } from '../upstream/link/link.ts'
import type { LinkSlot } from '../upstream/pool/link-slot.ts'
import { differsForLists } from '../upstream/pool/live-settings.ts'
import { LinksPerClient } from '../upstream/pool/links-per-client.ts'
import { notBefore } from '../upstream/pool/next-start.ts'
import { Pool } from '../upstream/pool/pool.ts'
import { CacheSharing } from './cache-sharing.ts'
import { poolListener } from './pool-listener.ts'
import { poolSettings, queueOptions } from './runtime-settings.ts'
import { ServerLogins } from './server-logins.ts'

export interface RuntimeOptions {
  readonly config: Config
  readonly store: Store
  readonly logger: Logger
  /** Raw JSON of the gateway's own `serverInfo`. */
  readonly serverInfo: string
  /** The calls that the end of the gateway waits for. */
  readonly calls: Awaited
  readonly events: EventSink
  /** The catalogue of the configuration that is in effect. What runs asks for it each time, and keeps none. */
  readonly catalog: () => Catalog
  /** Whether the configuration that is in effect has the client of a suspended call, and permits what it called. */
  readonly mayReturn: (client: SuspendedClient) => boolean
  /** Address under which browsers reach the gateway, if they do. */
  readonly pagesAt: () => string | undefined
}

/** The links of single sessions do not each list their server anew. */
const RECENT_MS = 60_000

/**
 * What runs, whatever the configuration: servers with their links and lists, what clients wait for and are subscribed
 * to, what is cached and used up. It lives as long as the gateway, and a reload gives it other settings.
 * `generation.ts` is what one configuration says about it.
 */
export class Runtime {
  readonly store: Store
  readonly logger: Logger
  readonly serverInfo: string
  readonly deadlines = new Deadlines()
  readonly pools = new Map<string, Pool>()
  readonly lists: ServerLists
  readonly resourceOwners = new ResourceOwners()
  readonly cache: Cache
  readonly limiter: ConcurrencyLimiter
  readonly leases: LimitLeases
  readonly relay: NotificationRelay
  readonly subscriptions: Subscriptions
  readonly listChanges: ListChanges
  readonly taskListeners: TaskListeners
  readonly seal: Seal
  readonly taskIds: TaskIds
  readonly legacyTasks: LegacyTasks
  readonly suspendedCalls: SuspendedCalls
  readonly serverLogins: ServerLogins
  readonly catalog: () => Catalog
  readonly #staleLists: StaleLists
  readonly #sharing: CacheSharing
  readonly #equivalence: Equivalence
  readonly #clientLinks: LinksPerClient
  readonly #clientValues: ClientValues
  readonly #options: RuntimeOptions
  /** Pools of servers that are gone, while their calls end. */
  readonly #leaving = new Map<Pool, Promise<void>>()
  #config: Config
  #drained: ReadonlyMap<string, ReadonlySet<string>> = new Map()

  constructor(options: RuntimeOptions) {
    const { config, store, logger, serverInfo, events, catalog } = options
    const { gateway, servers } = config
    this.#options = options
    this.#config = config
    this.store = store
    this.logger = logger
    this.serverInfo = serverInfo
    this.catalog = catalog

    this.#clientLinks = new LinksPerClient(gateway.maxLinksPerClient)
    this.#clientValues = new ClientValues(config.clients)
    const serverOf = (server: string): ServerConfig => this.poolOf(server).server
    const isServer = (server: string): boolean => this.pools.has(server)
    this.serverLogins = new ServerLogins({ ...options, serverOf, isServer, lists: () => this.lists })
    this.leases = new LimitLeases({ store, logger, clock: CLOCK, failureMode: gateway.quotaFailureMode })
    this.limiter = new ConcurrencyLimiter({ ...queueOptions(config), deadlines: this.deadlines })
    for (const server of servers) this.#addPool(server)
    this.lists = new ServerLists({
      servers,
      firstListTimeoutMs: gateway.catalog.firstListTimeoutMs,
      store,
      logger,
      views: () => catalog().views,
      link: (server, exchange) => this.poolOf(server).any(exchange),
      links: server => this.pools.get(server)?.links ?? [],
      isCurrent: (server, { replica }) => this.#isCurrent(server, replica),
      notBefore: server => notBefore(this.pools.get(server)?.slots ?? []),
    })
    this.#staleLists = new StaleLists(this.lists, gateway.catalog.refreshAfterMs)
    this.#equivalence = new Equivalence(logger, server => this.lists.refreshSoon(server))
    this.#sharing = new CacheSharing({ store, logger, cache: () => this.cache })
    this.#sharing.reconfigure(config)
    this.cache = new Cache({
      events,
      servers,
      bounds: gateway.cache,
      tier: this.#sharing.tier,
      onInvalidated: (server, tags) => this.#sharing.outdated(server, tags),
      snapshot: server => this.lists.snapshot(server),
      shown: server => this.lists.shown(server),
      onLinks: (principal, server, result) => this.resourceOwners.learn(principal, server, result),
      serverInfo,
    })

    // The way back.
    this.subscriptions = new Subscriptions({
      pool: server => this.poolOf(server),
      logger,
      maxPerSubscriber: gateway.listen.maxResources,
      receivesUpdates: (view, server, own) => catalog().view(view)?.receivesUpdates(server, own) ?? false,
      onMissed: server => this.lists.refreshSoon(server),
    })
    const sees = (view: string, server: string) => catalog().view(view)?.servers.has(server) ?? false
    const permits: Catalog['permits'] = (view, server, tool) => catalog().permits(view, server, tool)
    this.taskListeners = new TaskListeners({
      permits,
      pool: server => this.poolOf(server),
      listenOf: link => this.subscriptions.listenOf(link),
      logger,
    })
    this.relay = new NotificationRelay({
      logger,
      subscriptions: this.subscriptions,
      taskListeners: this.taskListeners,
      onListChanged: link => this.#listChanged(link),
      onResourceChanged: (server, uri) => this.cache.resourceChanged(server, uri),
      sees,
    })
    this.listChanges = new ListChanges(() => this.relay.conversations)

    this.seal = new Seal(store)
    this.taskIds = new TaskIds(this.seal)
    this.legacyTasks = new LegacyTasks(this.taskIds, this.deadlines, permits)
    const { seal, deadlines } = this
    this.suspendedCalls = new SuspendedCalls({ ...options, seal, deadlines, limits: gateway.asks })
  }

  /** Reads what earlier runs left: lists and eras. Starts no server. */
  async load(): Promise<void> {
    await this.lists.load()
    this.#sharing.start()
    this.#staleLists.start()
    for (const name of this.pools.keys()) this.#restoreEra(name)
  }

  /** @throws GatewayError `upstream_unreachable`, not sent, for a name that is not in the configuration */
  poolOf(server: string): Pool {
    const pool = this.pools.get(server)
    if (!pool) throw removedServer(server)
    return pool
  }

  /** Server → names of its drained replicas, `''` for all of them; every other one is in use. */
  drain(drained: ReadonlyMap<string, ReadonlySet<string>>): void {
    this.#drained = drained
    for (const [name, { membership }] of this.pools) membership.drain(drained.get(name) ?? new Set())
  }

  /** A conversation has ended. */
  leave(conversation: Conversation): void {
    for (const pool of [...this.pools.values(), ...this.#leaving.keys()]) pool.leave(conversation)
    this.legacyTasks.leave(conversation)
  }

  /**
   * Goes on by another configuration. A server that does not differ keeps everything. One that differs keeps its pool;
   * one that is gone ends once its calls have. What is used up, cached and subscribed to stays.
   */
  reconfigure(config: Config): void {
    const before = this.#config
    const { gateway, servers } = config
    this.#config = config
    this.#clientLinks.max = gateway.maxLinksPerClient
    this.leases.reach.failureMode = gateway.quotaFailureMode
    this.limiter.reconfigure(queueOptions(config))
    this.subscriptions.maxPerSubscriber = gateway.listen.maxResources
    this.suspendedCalls.reconfigure(gateway.asks)
    this.serverLogins.reconfigure(config)

    const otherValues = this.#clientValues.reconfigure(config.clients)
    const added = this.lists.reconfigure(servers, gateway.catalog.firstListTimeoutMs)
    this.#staleLists.reconfigure(gateway.catalog.refreshAfterMs)
    const names = new Set(servers.map(({ name }) => name))
    for (const [name, pool] of this.pools) if (!names.has(name)) this.#retire(name, pool)
    const samePools = JSON.stringify(poolSettings(before.gateway)) === JSON.stringify(poolSettings(gateway))
    // Both configurations share the objects of what is equal.
    const same = new Set(samePools ? before.servers : [])
    for (const server of servers) {
      const pool = this.pools.get(server.name)
      if (!pool) this.#addPool(server)
      else if (!same.has(server)) this.#reconfigurePool(pool, server)
      if (otherValues && fixesValues(server)) pool?.membership.renew()
    }
    this.#sharing.reconfigure(config)
    this.cache.reconfigure(servers, gateway.cache, this.#sharing.tier)
    if (added.length > 0) void this.#introduce(added)
  }

  async close(): Promise<void> {
    await this.serverLogins.close()
    this.#staleLists.close()
    const lists = this.lists.close()
    await Promise.all([...this.pools.values(), ...this.#leaving.keys()].map(pool => pool.close()))
    await Promise.all([lists, ...this.#leaving.values()])
  }

  /** What is written at last, once no call goes on. */
  async finish(): Promise<void> {
    this.deadlines.close()
    await this.leases.close()
    await this.#sharing.close()
  }

  #reconfigurePool(pool: Pool, server: ServerConfig): void {
    const before = { ...pool.server }
    const { name, problem } = server
    pool.reconfigure(server, this.#config.gateway)
    if (problem !== undefined) return
    // It may be another server by now, or one that can be used at last.
    if (server.fingerprint !== before.fingerprint || before.problem !== undefined)
      this.lists.refreshes.add(name)
    else if (differsForLists(before, server) && this.lists.lacks(name)) this.lists.refreshSoon(name)
  }

  /** Servers that are new are listed in the background, so that nothing waits for one that does not start. */
  async #introduce(servers: readonly ServerConfig[]): Promise<void> {
    try {
      await this.lists.load(servers)
      await this.#options.catalog().views.rebuild()
    } catch (error) {
      this.logger.warn('The stored lists of new servers are not used.', { cause: describeError(error) })
    }
    for (const { name } of servers) {
      this.#restoreEra(name)
      this.lists.refreshes.add(name)
    }
  }

  #restoreEra(name: string): void {
    const snapshot = this.lists.snapshot(name)
    const pool = this.pools.get(name)
    if (snapshot && pool) pool.assume(spokenSince(snapshot))
  }

  /** No new call goes to the server; its pool closes when the last one has ended. */
  #retire(name: string, pool: Pool): void {
    this.pools.delete(name)
    const end = pool.retire().then(() => {
      this.#leaving.delete(pool)
    })
    this.#leaving.set(pool, end)
  }

  #addPool(server: ServerConfig): void {
    const { logger, serverInfo } = this.#options
    const pool: Pool = new Pool({
      server,
      events: this.#options.events,
      deadlines: this.deadlines,
      logger: logger.child({ server: server.name }),
      clientInfo: serverInfo,
      clientLinks: this.#clientLinks,
      ...poolSettings(this.#config.gateway),
      ...linkCredentials(this.#clientValues, this.serverLogins.source, this.#options.events),
      onReplicasChanged: () => {
        if (this.pools.get(server.name) !== pool) return
        for (const standing of [this.subscriptions, this.taskListeners]) standing.regroup(server.name)
      },
      listener: poolListener({
        pool: () => pool,
        reports: this,
        onGap: link => this.#missed(link),
        onOpened: (slot, link) => this.#opened(slot, link),
      }),
    })
    this.pools.set(server.name, pool)
    const drained = this.#drained.get(server.name)
    if (drained) pool.membership.drain(drained)
  }

  /** Whether a link to this replica leads to the present server of the name. A former one only ends its calls. */
  #isCurrent(server: string, replica: unknown): boolean {
    return this.pools.get(server)?.replicas.has(replica) === true
  }

  /** Messages of a server may have been missed. */
  #missed(link: Link): void {
    if (!this.#isCurrent(link.server.name, link.replica)) return
    this.lists.refreshSoon(link.server.name, link)
    this.subscriptions.missed(link)
  }

  /** Listed over the link that said so: of a server's processes, only one may have changed. */
  #listChanged(link: Link): void {
    const { name } = link.server
    if (!this.#isCurrent(name, link.replica)) return
    const replicas = this.pools.get(name)?.replicas
    this.cache.invalidate(name, 'server')
    // A server may say so while it is still being greeted: nothing can be listed over that link yet.
    if (!link.usable) return this.lists.refreshSoon(name)
    if (replicas?.several) void this.#equivalence.look(replicas, link)
    this.lists.refreshSoon(name, link)
  }

  /** A server that has just started may offer other things than last time, and has no subscriptions. */
  #opened(slot: LinkSlot, link: Link): void {
    const { name } = link.server
    for (const { logLevel } of link.owner ? [link.owner] : this.relay.conversations)
      if (logLevel !== undefined) link.wantLogLevel(logLevel)
    if (!this.#isCurrent(name, link.replica)) return
    if (!slot.key.owner || slot.reopened || Math.abs(Date.now() - this.lists.listedAt(link)) > RECENT_MS)
      this.lists.refreshSoon(name, link)
    const replicas = this.pools.get(name)?.replicas
    if (replicas?.several && !link.replica.tools) void this.#equivalence.look(replicas, link)
    this.subscriptions.opened(slot, link)
    this.taskListeners.opened(slot, link)
  }
}
