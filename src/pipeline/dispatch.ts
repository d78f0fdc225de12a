import type { Handler } from '../core/compose.ts'
import { GatewayError } from '../core/errors.ts'
import type { Exchange, JsonObject, Outcome } from '../core/exchange.ts'
import type { Route } from '../core/route.ts'
import { NAMED_METHODS, paramHeaders } from '../protocol/headers.ts'
import { mapUris } from '../protocol/results.ts'
import type { LearnedOwners } from '../relay/learned.ts'
import type { Link, LinkCall } from '../upstream/link.ts'
import type { Pool } from '../upstream/pool.ts'

export interface DispatchOptions {
  readonly pools: ReadonlyMap<string, Pool>
  readonly learned: LearnedOwners
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
    let sentAt = 0
    const send = (): Promise<Outcome> =>
      pool.run(exchange, link => {
        sentAt ||= performance.now()
        exchange.record.replica = link.replica
        return link.call(exchange, callFor(link, exchange, route))
      })
    let outcome: Outcome
    try {
      outcome = await send()
    } catch (error) {
      if (!(error instanceof GatewayError) || !worthAnotherLink(error)) throw error
      outcome = await send()
    } finally {
      if (sentAt > 0) exchange.record.upstreamMs += performance.now() - sentAt
    }
    return outcome.kind === 'result' ? withUris(options, exchange, route, outcome) : outcome
  }
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

function worthAnotherLink(error: GatewayError): boolean {
  return error.delivery === 'not_sent' && (error.code === 'session_lost' || error.code === 'upstream_closed')
}

function withUris(
  options: DispatchOptions,
  exchange: Exchange,
  route: Route,
  outcome: Extract<Outcome, { kind: 'result' }>,
): Outcome {
  options.learned.learn(exchange.principal.id, route.server, outcome.value)
  const map = options.uriMap(exchange.view, route.server)
  const read = exchange.request.method === 'resources/read' && route.exposed !== route.own
  if (!map && !read) return outcome
  // The client knows the resource it read by the URI it asked for.
  const shown = (uri: string): string => (read && uri === route.own ? route.exposed : map ? map(uri) : uri)
  const text = mapUris({ text: outcome.text, value: outcome.value as JsonObject }, shown)
  return text === outcome.text ? outcome : { ...outcome, text }
}
