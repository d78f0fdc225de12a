import { onAnotherLink } from '../core/another-link.ts'
import type { Handler } from '../core/compose.ts'
import { GatewayError } from '../core/errors.ts'
import type { Exchange, JsonObject, Outcome } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { Route } from '../core/route.ts'
import { NAMED_METHODS, paramHeaders } from '../protocol/headers.ts'
import { rawAt, withMembers } from '../protocol/json-text.ts'
import { mapUris } from '../protocol/results.ts'
import type { LearnedOwners } from '../relay/learned.ts'
import type { LegacyTasks } from '../relay/legacy-tasks.ts'
import type { Link } from '../upstream/link.ts'
import type { LinkCall } from '../upstream/link-contract.ts'
import type { Pool } from '../upstream/pool.ts'
import { follow } from './follow.ts'

type Result = Extract<Outcome, { kind: 'result' }>

export interface DispatchOptions {
  readonly pools: ReadonlyMap<string, Pool>
  readonly learned: LearnedOwners
  readonly tasks: LegacyTasks
  /** Maps URIs in a server's results to those a view shows; `undefined` when none differs. */
  readonly uriMap: (view: string, server: string) => ((uri: string) => string) | undefined
}

/**
 * Innermost: sends the call to a link of its server. What certainly never reached a server that then forgot us is sent once more; anything else
 * is the caller's to repeat.
 */
export function dispatch(options: DispatchOptions): Handler {
  return async (exchange, route) => {
    const pool = options.pools.get(route.server)
    if (!pool)
      throw new GatewayError('internal', `There is no server "${route.server}".`, { server: route.server })
    const record = exchange.record
    record.sentAt = record.endedAt = 0
    try {
      const outcome = await onAnotherLink(() => send(options, pool, exchange, route))
      return outcome.kind === 'result' ? withUris(options, exchange, route, outcome) : outcome
    } finally {
      if (record.sentAt > 0) {
        record.endedAt = performance.now()
        record.upstreamMs += record.endedAt - record.sentAt
      }
    }
  }
}

function send({ tasks }: DispatchOptions, pool: Pool, exchange: Exchange, route: Route): Promise<Outcome> {
  const { method, params } = exchange.request
  if (method.startsWith('tasks/')) {
    // A task of a legacy server is bound to the link it was made on.
    const task = tasks.at(route)
    if (task) return task.call(exchange)
  }
  const { record } = exchange
  return pool.run(exchange, link => {
    record.sentAt ||= performance.now()
    record.replica = link.replica
    const call = callFor(link, exchange, route)
    if (method === 'tools/call' && link.peer.era === 'legacy') {
      if (params?.value.task !== undefined) return tasks.create(link, pool.slotOf(link), exchange, call)
      if (route.needsTask) return follow(link, exchange, call)
    }
    return link.call(exchange, call)
  })
}

function callFor(link: Link, exchange: Exchange, route: Route): LinkCall {
  const { method, params } = exchange.request
  if (method === 'completion/complete') {
    const ref = params?.value.ref as { type?: unknown } | undefined
    return {
      method,
      change: { ref: { key: ref?.type === 'ref/resource' ? 'uri' : 'name', value: route.own } },
    }
  }
  const change = { target: { key: NAMED_METHODS[method] ?? 'name', value: route.own } }
  if (!route.headerParams?.length || link.transport.kind !== 'http') return { method, change }
  return { method, change, headers: paramHeaders(route.headerParams, params?.value.arguments) }
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

function shownUris(options: DispatchOptions, exchange: Exchange, route: Route, outcome: Result): Result {
  options.learned.learn(exchange.principal.id, route.server, outcome.value)
  const map = options.uriMap(exchange.view, route.server)
  const read = exchange.request.method === 'resources/read' && route.exposed !== route.own
  if (!map && !read) return outcome
  // The client knows the resource it read by the URI it asked for.
  const shown = (uri: string): string => (read && uri === route.own ? route.exposed : map ? map(uri) : uri)
  const text = mapUris({ text: outcome.text, value: outcome.value as JsonObject }, shown)
  return text === outcome.text ? outcome : { ...outcome, text }
}
