import type { Catalog } from '../catalog/catalog.ts'
import { hiddenBy } from '../catalog/hidden.ts'
import type { ServerConfig } from '../config/types.ts'
import { wallOf } from '../core/clock.ts'
import type { GatewayError } from '../core/errors.ts'
import { quoted, saidOf, withSaid } from './explained.ts'
import { startsAt } from '../upstream/pool/next-start.ts'
import type { Pool } from '../upstream/pool/pool.ts'
import type { Replica } from '../upstream/replica/replica.ts'
import { startErrorOf, type SlotState } from '../upstream/pool/slot-state.ts'

/** How one server stands, for people. */
export interface ServerStatus {
  readonly name: string
  readonly transport: string
  readonly era: 'legacy' | 'modern' | undefined
  /**
   * `idle`: not running, started by the next call. `failed`: the last start failed, `error` says why; also while it is
   * tried again. `stopped`: so many failed or did not last that it is tried every few minutes only. `drained`: it takes
   * no new calls. `needs_login`: a person has to log in at it first.
   */
  readonly state: 'idle' | 'starting' | 'ready' | 'failed' | 'stopped' | 'drained' | 'closed' | 'needs_login'
  /**
   * When one that has failed is tried again: `now`, at a moment in Unix milliseconds, or with the next `call` where
   * nothing else tries it.
   */
  readonly nextTry: number | 'now' | 'call' | undefined
  /** How long a start may take. */
  readonly startTimeoutMs: number
  readonly required: boolean
  /** Whether its lists are known, from now or from an earlier run. */
  readonly listed: boolean
  /** Without those that are hidden. */
  readonly tools: number
  readonly resources: number
  readonly resourceTemplates: number
  readonly prompts: number
  readonly error: string | undefined
  /** `error` with what its program printed about it. That may hold anything, so no client over HTTP gets it. */
  readonly errorInFull: string | undefined
  readonly replicas: readonly ReplicaStatus[]
}

/** How one replica stands, for operators. */
export interface ReplicaStatus {
  readonly name: string
  /** `stopped`: there is no link to it, and nothing is wrong, unless `cause` says that it is in a crash loop. */
  readonly state: 'starting' | 'ready' | 'degraded' | 'ejected' | 'stopped' | 'needs_login'
  /** Why it is not `ready`. */
  readonly cause: string | undefined
  /** When that began; Unix milliseconds, as `nextTry`. */
  readonly since: number
  readonly nextTry: number | undefined
  /** Calls at this moment. */
  readonly inFlight: number
  readonly weight: number
  readonly priority: number
  /** It takes no new calls. */
  readonly drained: boolean
}

export function statusOf(server: ServerConfig, pool: Pool, catalog: Catalog): ServerStatus {
  const snapshot = catalog.snapshot(server.name)
  const { state, current } = pool
  const hidden = hiddenBy(server)
  const failed = startErrorOf(state)
  const error = failed ?? catalog.failure(server.name)
  const stray = error === undefined && state.kind === 'starting' ? strayOf(pool) : undefined
  const failing = error?.message ?? (stray === undefined ? undefined : STRAY)
  return {
    name: server.name,
    transport: current?.transport.kind ?? snapshot?.transport ?? server.replicas[0]?.endpoint.kind ?? '',
    era: current?.peer.era ?? snapshot?.era,
    state: shownState(server, pool, error),
    nextTry: failed && nextTryOf(state, startsAt(pool.slots), catalog.lists.retries.next(server.name)),
    startTimeoutMs: server.startTimeoutMs,
    required: server.required,
    listed: snapshot !== undefined,
    tools: snapshot ? snapshot.lists.tools.filter(({ key }) => !hidden(key)).length : 0,
    resources: snapshot?.lists.resources.length ?? 0,
    resourceTemplates: snapshot?.lists.resourceTemplates.length ?? 0,
    prompts: snapshot?.lists.prompts.length ?? 0,
    error: failing,
    errorInFull: failing && withSaid(failing, error ? saidOf(error) : stray),
    replicas: pool.membership.all.map(replica => replicaStatusOf(replica, pool)),
  }
}

/** `error`: why it could not be started or listed. */
function shownState(
  { problem }: ServerConfig,
  { state, membership }: Pool,
  error: GatewayError | undefined,
): ServerStatus['state'] {
  if (problem !== undefined) return 'failed'
  if (state.kind !== 'closed' && membership.all.length > 0 && membership.all.every(({ drained }) => drained))
    return 'drained'
  const lacksLogin = membership.all.some(({ health }) => health.state === 'needs_login')
  if (error?.code === 'needs_login' || (state.kind !== 'closed' && lacksLogin)) return 'needs_login'
  return state.kind === 'starting' && state.failed ? 'failed' : state.kind
}

/** `starts`: when it starts by itself; `planned`: when its lists are fetched again. */
function nextTryOf(state: SlotState, starts = Infinity, planned = Infinity): ServerStatus['nextTry'] {
  if (state.kind !== 'failed' && state.kind !== 'stopped') return 'now'
  const soonest = Math.min(starts, planned)
  return soonest === Infinity ? 'call' : wallOf(soonest)
}

const STRAY = 'It has printed plain text in place of JSON-RPC messages.'

/** Of a program that is starting: what shows that it may be no server. */
function strayOf({ membership }: Pool): string | undefined {
  for (const { printed } of membership.all) if (printed.stray !== undefined) return quoted(printed.stray)
  return undefined
}

function replicaStatusOf(replica: Replica, { slots }: Pool): ReplicaStatus {
  const { name, health, load, weight, priority, drained } = replica
  let inFlight = 0
  let state: ReplicaStatus['state'] = 'stopped'
  let looping = false
  for (const slot of slots) {
    if (slot.replica !== replica) continue
    inFlight += slot.current?.inFlight ?? 0
    if (slot.state.kind === 'stopped') looping = true
    if (slot.current) state = 'ready'
    else if (slot.state.kind === 'starting' && state !== 'ready') state = 'starting'
  }
  const stopped = looping && state === 'stopped'
  if (!stopped && health.state !== 'ready' && (state !== 'starting' || health.state !== 'degraded'))
    state = health.state
  const { cause, since, nextTry } = health
  // Calls on a link that was lost are only in the load.
  return {
    name,
    state,
    cause,
    since: wallOf(since),
    nextTry: nextTry === undefined ? undefined : wallOf(nextTry),
    inFlight: Math.max(inFlight, load.inFlight),
    weight,
    priority,
    drained,
  }
}

export interface Readiness {
  /** Whether every required server is there or known. */
  readonly ready: boolean
  /** How each one stands, for operators. */
  readonly inFull: readonly object[]
  /** The same for clients: neither where servers are nor what their programs printed. */
  readonly servers: readonly Pick<ServerStatus, 'name' | 'state' | 'required' | 'error' | 'nextTry'>[]
}

export function readinessOf(statuses: readonly ServerStatus[]): Readiness {
  return {
    ready: statuses.every(
      ({ required, state, listed }) =>
        !required || state === 'ready' || ((state === 'idle' || state === 'drained') && listed),
    ),
    inFull: statuses.map(({ startTimeoutMs: _ms, errorInFull, ...status }) => ({
      ...status,
      error: errorInFull,
    })),
    servers: statuses.map(({ name, state, required, error, nextTry }) => ({
      name,
      state,
      required,
      error,
      nextTry,
    })),
  }
}

/** Calls in flight at drained replicas, by server and replica; only those that are drained. */
export function inFlightAtDrained(statuses: readonly ServerStatus[]): Record<string, Record<string, number>> {
  const found: Record<string, Record<string, number>> = {}
  for (const { name, replicas } of statuses)
    for (const replica of replicas)
      // Two of one name are one that changed: both are on their way out.
      if (replica.drained)
        (found[name] ??= {})[replica.name] = (found[name]?.[replica.name] ?? 0) + replica.inFlight
  return found
}
