import type { CallHandler } from '../../core/compose.ts'
import type { EventSink } from '../../core/event-bus.ts'
import type { Exchange, JsonObject, Outcome, ServerResult } from '../../core/exchange.ts'
import { isJsonObject } from '../../core/json-object.ts'
import { replacedServer } from '../../core/removed-server.ts'
import type { Route } from '../../core/route.ts'
import { rawAt, withMembers } from '../../protocol/json-text.ts'
import { mapUris } from '../../protocol/results.ts'
import type { ResourceOwners } from '../../catalog/resource-owners.ts'
import type { LegacyTasks } from '../../tasks/legacy-tasks.ts'
import type { Pool } from '../../upstream/pool/pool.ts'
import { hedged } from './hedge.ts'
import { ServerCall } from './server-call.ts'

export interface DispatchOptions {
  /** Absent: no listener. */
  readonly events?: EventSink | undefined
  /** @throws GatewayError for a server that does not exist, or no longer */
  readonly poolOf: (server: string) => Pool
  readonly resourceOwners: ResourceOwners
  readonly legacyTasks: LegacyTasks
  /** Called when a server has answered a call, or has failed to. */
  readonly called: (exchange: Exchange, server: string) => void
  /** Maps URIs in a server's results to those of a view. `undefined`: none differs. */
  readonly uriMap: (view: string, server: string) => ((uri: string) => string) | undefined
}

/** Methods without side effects, which may be executed twice. */
const READS: ReadonlySet<string> = new Set(['resources/read', 'prompts/get', 'completion/complete'])

/**
 * Innermost: sends the call over a link of its server, to a replica that can take it, and to another one if that fails
 * (docs/resilience.md).
 */
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

/**
 * Sends the call to one replica, and to others if that fails, or is slow. @throws GatewayError at once, or rejects with
 * one
 */
function sendOn(options: DispatchOptions, exchange: Exchange, route: Route): Promise<Outcome> {
  const pool = options.poolOf(route.server)
  const { replicas } = pool
  replicas.retryBudget.called()
  const { events, legacyTasks } = options
  const repeatable = isRepeatable(pool, exchange, route)
  // Only a call that goes on belongs to a replica: with answers, or for its task.
  const home = exchange.state.replica
  if (home && !pool.membership.pending && !replicas.at(home)) throw replacedServer(route.server)
  const lacking = replicas.several || home ? replicas.excludedFor(route.own, home) : undefined
  const call = new ServerCall({ events, pool, legacyTasks, exchange, route, repeatable, lacking })
  return replicas.several && repeatable ? hedged(call) : call.persist()
}

/** Whether a call that may have been executed may be executed again. */
function isRepeatable(pool: Pool, { request, state }: Exchange, route: Route): boolean {
  const { method, params } = request
  if (state.asked || params?.value.task !== undefined) return false
  return READS.has(method) || (method === 'tools/call' && pool.replicas.repeats(route.own))
}

function withUris(
  options: DispatchOptions,
  exchange: Exchange,
  route: Route,
  outcome: ServerResult,
): Outcome {
  // A task of the modern extension contains its result.
  const inner = exchange.request.method === 'tasks/get' && (outcome.value as JsonObject | null)?.result
  if (!isJsonObject(inner)) return shownUris(options, exchange, route, outcome)
  const text = rawAt(outcome.text, 'result') ?? '{}'
  const shown = shownUris(options, exchange, route, { ...outcome, text, value: inner })
  return shown.text === text
    ? outcome
    : { ...outcome, text: withMembers(outcome.text, { result: shown.text }) }
}

/** Whether a result can contain URIs. Most cannot, and need no mapping. */
function namesUris(result: unknown): boolean {
  const { content, contents, messages } = (result ?? {}) as JsonObject
  if (contents !== undefined || messages !== undefined) return true
  if (!Array.isArray(content)) return false
  return (content as (JsonObject | null)[]).some(
    block => block?.type !== 'text' || block.resource !== undefined,
  )
}

function shownUris(
  options: DispatchOptions,
  exchange: Exchange,
  route: Route,
  outcome: ServerResult,
): ServerResult {
  if (!namesUris(outcome.value)) return outcome
  options.resourceOwners.learn(exchange.principal.id, route.server, outcome.value)
  const map = options.uriMap(exchange.view, route.server)
  const read = exchange.request.method === 'resources/read' && route.exposed !== route.own
  if (!map && !read) return outcome
  // The client gets the resource it read under the URI it sent.
  const shown = (uri: string): string => (read && uri === route.own ? route.exposed : map ? map(uri) : uri)
  const text = mapUris({ text: outcome.text, value: outcome.value as JsonObject }, shown)
  return text === outcome.text ? outcome : { ...outcome, text }
}
