import { composeCalls, composeRequests, type RequestChains } from './chains.ts'
import { Router } from './router.ts'
import { TaskRoutes } from './task-routes.ts'
import { tellListChanged } from './gateway-events.ts'
import type { Runtime } from './runtime.ts'
import { Catalog } from '../catalog/catalog.ts'
import type { Config, ServerConfig } from '../config/types.ts'
import type { ReplicaId } from '../core/call-state.ts'
import type { EventSink } from '../core/event-bus.ts'
import { checkCall, recordDecision } from '../middleware/authorize.ts'
import type { ReportOptions } from '../middleware/request/report.ts'
import { fallbacksOf } from '../middleware/fallback.ts'
import type { Principal } from '../core/principal.ts'
import type { Policies } from '../policy/policies.ts'
import { Quotas } from '../quota/quotas.ts'
import { UsageResource } from '../quota/usage.ts'

export interface GenerationOptions {
  readonly config: Config
  /** The rules of the configuration, compiled. */
  readonly policies: Policies
  readonly runtime: Runtime
  readonly events: EventSink
}

/**
 * What one configuration says: which caller may use what under which name, and how a request reaches a server. It is
 * complete before it is used. A request is served to its end by the generation that it began with. The runtime holds a
 * former generation by its suspended calls alone; a listener may hold one by an event of a request.
 */
export class Generation {
  readonly config: Config
  readonly policies: Policies
  readonly quotas: Quotas | undefined
  readonly reporting: ReportOptions
  readonly catalog: Catalog
  readonly router: Router
  readonly tasks: TaskRoutes
  readonly chains: RequestChains

  constructor({ config, policies, runtime, events }: GenerationOptions) {
    const { store, logger, serverInfo, deadlines, lists, resourceOwners, seal, taskIds, legacyTasks } =
      runtime
    const { subscriptions, taskListeners, listChanges } = runtime
    const { asks } = config.gateway
    this.config = config
    this.policies = policies
    this.reporting = { events, ruleOn: request => this.router.ruleOn(request) }
    this.quotas = Quotas.of({ config, store, logger, leases: runtime.leases })
    const catalog = (this.catalog = new Catalog({
      config,
      lists,
      logger,
      serverInfo,
      policy: key => policies.byKey(key),
      watched: () => listChanges.watched(),
      onChange: (name, kinds) => {
        tellListChanged(events, name, kinds)
        listChanges.tell(name, kinds)
      },
    }))
    const serverOf = (server: string): ServerConfig => runtime.poolOf(server).server
    const hasReplica = async (server: string, replica: ReplicaId): Promise<boolean> =>
      (await runtime.pools.get(server)?.membership.has(replica)) === true
    const onDecision = recordDecision(logger)
    const call = composeCalls({
      logger,
      events,
      // Which way.
      fallbackOf: fallbacksOf(config.servers),
      routeTo: ({ view }, server, tool) => catalog.view(view)?.toolOf(server, tool),
      onDecision,
      quotas: this.quotas,
      // What is known.
      cache: runtime.cache,
      urisKey: (view, server) => catalog.view(view)?.merged.urisKey(server) ?? '',
      deadlines,
      timeoutMs: server => serverOf(server).timeoutMs,
      // Between the eras.
      seal,
      suspendedCalls: runtime.suspendedCalls,
      hasReplica,
      ...asks,
      serverOf,
      taskIds,
      legacyTasks,
      runsTasks: server => lists.runsTasks(server),
      logins: runtime.serverLogins,
      serverInfo,
      // To the server.
      limiter: runtime.limiter,
      poolOf: server => runtime.poolOf(server),
      resourceOwners,
      called: (exchange, server) => lists.afterCalls.called(exchange, server),
      uriMap: (view, server) => catalog.view(view)?.uriMap(server),
    })
    this.tasks = new TaskRoutes({
      viewOf: exchange => this.router.viewOf(exchange),
      taskIds,
      taskListeners,
      legacyTasks,
      hasReplica,
    })
    this.router = new Router({
      catalog,
      resourceOwners,
      tasks: this.tasks,
      subscriptions,
      inEffect: runtime.catalog,
      usage: this.quotas && new UsageResource(this.quotas),
      call,
      authorized: (exchange, route) => checkCall(exchange, route, onDecision),
      serverInfo,
      logger,
    })
    this.chains = composeRequests({ quotas: this.quotas, ...this.reporting }, exchange =>
      this.router.handle(exchange),
    )
  }

  /** Whether a client may use anything of an endpoint. Its view has been made. */
  serves(principal: Principal, endpoint: string): boolean {
    return this.catalog.views.of(endpoint, this.policies.of(principal)) !== undefined
  }
}
