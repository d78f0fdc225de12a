import { hiddenBy } from '../catalog/hidden.ts'
import type { ServerSnapshot } from '../catalog/snapshot.ts'
import type { Config, ServerConfig } from '../config/types.ts'
import { estimatedTokens } from '../core/estimated-tokens.ts'
import { Metrics } from '../observe/metrics/metrics.ts'
import type { GatewayState, ServerState } from '../observe/metrics/state-metrics.ts'
import { VERSION } from '../version.ts'
import type { GatewayEvents } from './gateway-events.ts'
import type { Runtime } from './runtime.ts'
import { readinessOf, type ServerStatus } from './status.ts'

/** What is counted of a gateway. */
export interface Counted {
  readonly gateway: { readonly config: Config; readonly sessions: number; status(): readonly ServerStatus[] }
  readonly runtime: Runtime
  readonly events: GatewayEvents
}

/** The metrics of a gateway, counted from here on. `undefined`: the configuration wants none. */
export function gatewayMetrics(counted: Counted): Metrics | undefined {
  const { enabled, maxSeries } = counted.gateway.config.gateway.metrics
  if (!enabled) return undefined
  const metrics = new Metrics({ maxSeries, state: () => stateOf(counted) })
  metrics.follow(counted.events)
  return metrics
}

function stateOf({ gateway, runtime, events }: Counted): GatewayState {
  const statuses = gateway.status()
  const configs = new Map(gateway.config.servers.map(server => [server.name, server]))
  return {
    version: VERSION,
    ready: readinessOf(statuses).ready,
    sessions: gateway.sessions,
    servers: statuses.map(status => serverStateOf(status, configs.get(status.name), runtime)),
    cache: runtime.cache.stats.list(),
    auditLinesLost: events.auditLinesLost,
    listenerFailures: events.failures,
  }
}

function serverStateOf(
  { name, state, replicas }: ServerStatus,
  config: ServerConfig | undefined,
  { pools, limiter, lists }: Runtime,
): ServerState {
  const links = pools.get(name)?.links ?? []
  const queue = limiter.serverQueue(name)
  const snapshot = lists.snapshot(name)
  return {
    name,
    state,
    listTokens: snapshot && config ? listTokensOf(snapshot, config) : 0,
    links: links.length,
    processes: links.filter(({ transport }) => transport.traits.process).length,
    running: queue?.taken ?? 0,
    waiting: queue?.waiting ?? 0,
    replicas,
  }
}

/** Lists stay the same from scrape to scrape, and are long. */
const known = new WeakMap<ServerSnapshot, { readonly config: ServerConfig; readonly tokens: number }>()

function listTokensOf(snapshot: ServerSnapshot, config: ServerConfig): number {
  const before = known.get(snapshot)
  if (before?.config === config) return before.tokens
  const isHidden = hiddenBy(config)
  const shown = snapshot.lists.tools.filter(({ key }) => !isHidden(key))
  const tokens = estimatedTokens(shown.reduce((chars, { text }) => chars + text.length, 0))
  known.set(snapshot, { config, tokens })
  return tokens
}
