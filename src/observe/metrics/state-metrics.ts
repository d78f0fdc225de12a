import { Series, type MetricDescription } from './series.ts'

/** How a gateway stands when it is scraped. */
export interface GatewayState {
  readonly version: string
  readonly ready: boolean
  /** Legacy sessions that are open. */
  readonly sessions: number
  readonly servers: readonly ServerState[]
  readonly cache: readonly CacheState[]
  /** Lines of the audit log that could not be written. */
  readonly auditLinesLost: number
  /** Failures of listeners of events. */
  readonly listenerFailures: number
}

export interface ServerState {
  readonly name: string
  readonly state: string
  /** Estimated tokens of the definitions of its tools. */
  readonly listTokens: number
  readonly links: number
  /** Programs that run for it. */
  readonly processes: number
  /** Calls that have a permit, and calls that wait for one. */
  readonly running: number
  readonly waiting: number
  readonly replicas: readonly { readonly name: string; readonly state: string; readonly inFlight: number }[]
}

export interface CacheState {
  readonly server: string
  readonly tool: string
  readonly hits: number
  readonly staleHits: number
  readonly misses: number
  readonly stores: number
  readonly bytesSaved: number
  readonly upstreamMsSaved: number
}

/** A metric that is read from the state of the gateway when it is scraped. */
export interface StateMetric extends MetricDescription {
  /** Values of the labels, in their order, and the number. */
  readonly read: (state: GatewayState) => Iterable<readonly [labels: readonly string[], value: number]>
}

const SERVER = { name: 'server', open: true }
const REPLICA = { name: 'replica', open: true }
const TOOL = { name: 'tool', open: true }
const STATE = { name: 'state', open: false }

const once = (value: number): [string[], number][] => [[[], value]]

const ofServers = (name: string, help: string, value: (server: ServerState) => number): StateMetric => ({
  name,
  help,
  kind: 'gauge',
  labels: [SERVER],
  read: ({ servers }) => servers.map(server => [[server.name], value(server)]),
})

const ofCache = (name: string, help: string, value: (cache: CacheState) => number): StateMetric => ({
  name,
  help,
  kind: 'counter',
  labels: [SERVER, TOOL],
  read: ({ cache }) => cache.map(counts => [[counts.server, counts.tool], value(counts)]),
})

export const STATE_METRICS: readonly StateMetric[] = [
  {
    name: 'manifold_build_info',
    help: 'Version of the gateway. The value is 1.',
    kind: 'gauge',
    labels: [{ name: 'version', open: false }],
    read: ({ version }) => [[[version], 1]],
  },
  {
    name: 'manifold_ready',
    help: 'Whether every required server is there, as /readyz answers.',
    kind: 'gauge',
    labels: [],
    read: ({ ready }) => once(ready ? 1 : 0),
  },
  {
    name: 'manifold_sessions',
    help: 'Legacy sessions that are open over HTTP.',
    kind: 'gauge',
    labels: [],
    read: ({ sessions }) => once(sessions),
  },
  {
    name: 'manifold_server_state',
    help: 'State of each server. The value is 1 for the state that it has.',
    kind: 'gauge',
    labels: [SERVER, STATE],
    read: ({ servers }) => servers.map(({ name, state }) => [[name, state], 1]),
  },
  {
    name: 'manifold_replica_state',
    help: 'State of each replica. The value is 1 for the state that it has.',
    kind: 'gauge',
    labels: [SERVER, REPLICA, STATE],
    read: ({ servers }) =>
      servers.flatMap(({ name, replicas }) =>
        replicas.map(replica => [[name, replica.name, replica.state], 1] as const),
      ),
  },
  {
    name: 'manifold_replica_calls',
    help: 'Calls in flight at each replica.',
    kind: 'gauge',
    labels: [SERVER, REPLICA],
    read: ({ servers }) =>
      servers.flatMap(({ name, replicas }) =>
        replicas.map(replica => [[name, replica.name], replica.inFlight] as const),
      ),
  },
  ofServers('manifold_links', 'Links that are open.', ({ links }) => links),
  ofServers('manifold_processes', 'Programs that run for stdio servers.', ({ processes }) => processes),
  ofServers('manifold_running_calls', 'Calls that have their turn.', ({ running }) => running),
  ofServers('manifold_waiting_calls', 'Calls that wait for their turn.', ({ waiting }) => waiting),
  ofServers(
    'manifold_list_tokens',
    'Estimated tokens of the definitions of tools: characters by 4.1.',
    ({ listTokens }) => listTokens,
  ),
  ofCache('manifold_cache_hits', 'Calls answered from the cache.', ({ hits, staleHits }) => hits + staleHits),
  ofCache(
    'manifold_cache_stale_hits',
    'Those of them that were answered with an outdated result.',
    ({ staleHits }) => staleHits,
  ),
  ofCache('manifold_cache_misses', 'Cacheable calls that were not in the cache.', ({ misses }) => misses),
  ofCache('manifold_cache_stores', 'Results that were stored.', ({ stores }) => stores),
  ofCache(
    'manifold_cache_saved_bytes',
    'Bytes of results that were not fetched.',
    ({ bytesSaved }) => bytesSaved,
  ),
  ofCache(
    'manifold_cache_saved_seconds',
    'Time that servers would have needed for these results.',
    ({ upstreamMsSaved }) => upstreamMsSaved / 1000,
  ),
  {
    name: 'manifold_audit_lines_lost',
    help: 'Lines of the audit log that could not be written.',
    kind: 'counter',
    labels: [],
    read: ({ auditLinesLost }) => once(auditLinesLost),
  },
  {
    name: 'manifold_listener_failures',
    help: 'Failures of listeners of events.',
    kind: 'counter',
    labels: [],
    read: ({ listenerFailures }) => once(listenerFailures),
  },
]

/** The series of a metric of the state, as it is now, bounded as all others. */
export function seriesOf(metric: StateMetric, state: GatewayState, maxSeries: number): Series {
  const series = new Series(metric, maxSeries)
  for (const [labels, value] of metric.read(state)) series.add(series.at(...labels), value)
  return series
}
