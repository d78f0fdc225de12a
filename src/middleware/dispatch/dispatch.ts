import type { CallHandler } from '../../core/compose.ts'
import { GatewayError } from '../../core/errors.ts'
import type { Exchange, JsonObject, Outcome } from '../../core/exchange.ts'
import { isJsonObject } from '../../core/json-object.ts'
import type { Route } from '../../core/route.ts'
import { NAMED_METHODS, paramHeaders } from '../../protocol/headers.ts'
import { rawAt, withMembers } from '../../protocol/json-text.ts'
import { mapUris } from '../../protocol/results.ts'
import type { ResourceOwners } from '../../catalog/resource-owners.ts'
import type { LegacyTasks } from '../../tasks/legacy-tasks.ts'
import type { Link } from '../../upstream/link/link.ts'
import type { LinkCall } from '../../upstream/link/link-contract.ts'
import type { Pool } from '../../upstream/pool/pool.ts'
import type { Excluded } from '../../upstream/replica/replica-set.ts'
import { Attempt } from '../attempt.ts'
import { failover } from './failover.ts'
import { awaitLegacyTask } from '../../tasks/await-legacy-task.ts'
import { hedged } from './hedge.ts'

type Result = Extract<Outcome, { kind: 'result' }>

export interface DispatchOptions {
  readonly pools: ReadonlyMap<string, Pool>
  readonly learned: ResourceOwners
  readonly legacyTasks: LegacyTasks
  /** A server has answered a call, or failed to. */
  readonly called: (exchange: Exchange, server: string) => void
  /** Maps URIs in a server's results to those a view shows; `undefined` when none differs. */
  readonly uriMap: (view: string, server: string) => ((uri: string) => string) | undefined
}

/** Nothing changes by these, so they may run twice. */
const READS: ReadonlySet<string> = new Set(['resources/read', 'prompts/get', 'completion/complete'])

/** Innermost: sends the call to a link of its server, at a replica that can take it, and to another one where that fails (docs/resilience.md). */
export function dispatch(options: DispatchOptions): CallHandler {
  return async (exchange, route) => {
    try {
      const outcome = await sendOn(options, exchange, route)
      exchange.trace.ended(performance.now())
      options.called(exchange, route.server)
      return outcome.kind === 'result' ? withUris(options, exchange, route, outcome) : outcome
    } catch (error) {
      exchange.trace.ended(performance.now())
      options.called(exchange, route.server)
      throw error
    }
  }
}

/** To one replica, and to others where that fails, or takes long. @throws GatewayError at once, or rejects with one */
function sendOn(options: DispatchOptions, exchange: Exchange, route: Route): Promise<Outcome> {
  const pool = options.pools.get(route.server)
  if (!pool)
    throw new GatewayError('internal', `There is no server "${route.server}".`, { server: route.server })
  const { replicas } = pool
  replicas.retryBudget.called()
  const repeatable = isRepeatable(pool, exchange, route)
  if (!replicas.several) return persist(options, pool, exchange, route, new Attempt(), repeatable, undefined)
  const lacking = replicas.excludedFor(route.own, exchange.state.replica)
  if (!repeatable) return persist(options, pool, exchange, route, new Attempt(lacking), repeatable, lacking)
  return hedged({
    pool,
    exchange,
    lacking,
    first: (branch, attempt) => persist(options, pool, branch, route, attempt, repeatable, lacking),
    second: (branch, attempt) => once(options, pool, branch, route, attempt),
  })
}

/** Whether a call that may have been run may be run again. */
function isRepeatable(pool: Pool, { request, state }: Exchange, route: Route): boolean {
  const { method, params } = request
  if (state.asked || params?.value.task !== undefined) return false
  return READS.has(method) || (method === 'tools/call' && pool.replicas.repeats(route.own))
}

/** One attempt, and no other. */
async function once(
  options: DispatchOptions,
  pool: Pool,
  exchange: Exchange,
  route: Route,
  attempt: Attempt,
): Promise<Outcome> {
  try {
    const outcome = await send(options, pool, exchange, route, attempt)
    attempt.answered()
    return outcome
  } catch (caught) {
    const error = GatewayError.from(caught, route.server)
    attempt.failed(error)
    throw error
  }
}

/** One attempt, and those that follow where it fails. */
async function persist(
  options: DispatchOptions,
  pool: Pool,
  exchange: Exchange,
  route: Route,
  attempt: Attempt,
  repeatable: boolean,
  lacking: Excluded | undefined,
): Promise<Outcome> {
  const since = performance.now()
  try {
    const outcome = await send(options, pool, exchange, route, attempt)
    attempt.answered()
    return outcome
  } catch (caught) {
    const error = GatewayError.from(caught, route.server)
    attempt.failed(error)
    const run = (another: Attempt): Promise<Outcome> => send(options, pool, exchange, route, another)
    return await failover({ pool, exchange, repeatable, since, lacking, run }, attempt, error)
  }
}

function send(
  { legacyTasks: tasks }: DispatchOptions,
  pool: Pool,
  exchange: Exchange,
  route: Route,
  attempt: Attempt,
): Promise<Outcome> {
  const { method, params } = exchange.request
  if (method.startsWith('tasks/')) {
    // A task of a legacy server is bound to the link it was made on.
    const task = tasks.at(route)
    if (task) return task.call(exchange)
  }
  return pool.run(
    exchange,
    link => {
      attempt.began(link, exchange)
      const call = callFor(link, exchange, route, attempt.timeoutMs)
      if (method === 'tools/call' && link.peer.era === 'legacy') {
        if (params?.value.task !== undefined) return tasks.create(link, pool.slotOf(link), exchange, call)
        if (route.needsTask) return awaitLegacyTask(link, exchange, call)
      }
      return link.call(exchange, call)
    },
    attempt,
  )
}

function callFor(link: Link, exchange: Exchange, route: Route, timeoutMs: number | undefined): LinkCall {
  const { method, params } = exchange.request
  if (method === 'completion/complete') {
    const ref = params?.value.ref as { type?: unknown } | undefined
    return {
      method,
      timeoutMs,
      change: { ref: { key: ref?.type === 'ref/resource' ? 'uri' : 'name', value: route.own } },
    }
  }
  const change = { target: { key: NAMED_METHODS[method] ?? 'name', value: route.own } }
  if (!route.headerParams?.length || link.transport.kind !== 'http') return { method, timeoutMs, change }
  return { method, timeoutMs, change, headers: paramHeaders(route.headerParams, params?.value.arguments) }
}

function withUris(options: DispatchOptions, exchange: Exchange, route: Route, outcome: Result): Outcome {
  // A task of the modern extension brings its result with it.
  const inner = exchange.request.method === 'tasks/get' && (outcome.value as JsonObject | null)?.result
  if (!isJsonObject(inner)) return shownUris(options, exchange, route, outcome)
  const text = rawAt(outcome.text, 'result') ?? '{}'
  const shown = shownUris(options, exchange, route, { ...outcome, text, value: inner })
  return shown.text === text
    ? outcome
    : { ...outcome, text: withMembers(outcome.text, { result: shown.text }) }
}

/** Whether a result can name resources: most do not, and need no second look. */
function namesUris(result: unknown): boolean {
  const { content, contents, messages } = (result ?? {}) as JsonObject
  if (contents !== undefined || messages !== undefined) return true
  if (!Array.isArray(content)) return false
  return (content as (JsonObject | null)[]).some(
    block => block?.type !== 'text' || block.resource !== undefined,
  )
}

function shownUris(options: DispatchOptions, exchange: Exchange, route: Route, outcome: Result): Result {
  if (!namesUris(outcome.value)) return outcome
  options.learned.learn(exchange.principal.id, route.server, outcome.value)
  const map = options.uriMap(exchange.view, route.server)
  const read = exchange.request.method === 'resources/read' && route.exposed !== route.own
  if (!map && !read) return outcome
  // The client knows the resource it read by the URI it asked for.
  const shown = (uri: string): string => (read && uri === route.own ? route.exposed : map ? map(uri) : uri)
  const text = mapUris({ text: outcome.text, value: outcome.value as JsonObject }, shown)
  return text === outcome.text ? outcome : { ...outcome, text }
}
