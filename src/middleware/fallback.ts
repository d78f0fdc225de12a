import type { FallbackConfig } from '../config/replica-types.ts'
import type { ServerConfig } from '../config/types.ts'
import { repeating, type CallHandler, type CallMiddleware } from '../core/compose.ts'
import { GatewayError } from '../core/errors.ts'
import type { Exchange, Json, JsonObject, Outcome } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { Logger } from '../core/logger.ts'
import type { Route } from '../core/route.ts'
import { wildcard } from '../policy/pattern.ts'
import { find, members, skipValue, splice } from '../protocol/json-text.ts'
import { WithParams } from '../core/derived-exchange.ts'
import { isOfReplica } from './attempt.ts'

export interface FallbackOptions {
  /** The configured fallback for a tool of a server. Contains no cycles. `undefined`: no tool has a fallback. */
  readonly fallbackOf: ((server: string, tool: string) => FallbackConfig | undefined) | undefined
  /** The route by which the client may call a tool of a server. `undefined`: it may not. */
  readonly routeTo: (exchange: Exchange, server: string, tool: string) => Route | undefined
  readonly logger: Logger
}

/**
 * The fallback of a tool: the first matching setting decides, or else that of its server. `undefined`: none is
 * configured.
 */
export function fallbacksOf(servers: readonly ServerConfig[]): FallbackOptions['fallbackOf'] {
  const some = new Map(
    servers
      .filter(({ fallback: own, tools }) => own ?? tools.some(tool => tool.fallback))
      .map(({ name, fallback: own, tools }) => [
        name,
        {
          own,
          tools: tools.flatMap(({ glob, fallback: of }) => (of ? [{ matches: wildcard(glob), of }] : [])),
        },
      ]),
  )
  if (some.size === 0) return undefined
  return (server, tool) => {
    const configured = some.get(server)
    return configured && (configured.tools.find(({ matches }) => matches(tool))?.of ?? configured.own)
  }
}

/**
 * Redirects a call that no replica of its server could take, and that was certainly not executed, to another server, if
 * one is configured. The rules, quotas, queue, cache and fallback of that server apply.
 */
export function fallback(options: FallbackOptions): CallMiddleware | undefined {
  const { fallbackOf } = options
  if (!fallbackOf) return undefined
  return repeating(next => (exchange, route) => {
    if (exchange.request.method !== 'tools/call' || !fallbackOf(route.server, route.own))
      return next(exchange, route)
    return withFallback(options, next, exchange, route)
  })
}

async function withFallback(
  options: FallbackOptions,
  next: CallHandler,
  exchange: Exchange,
  route: Route,
): Promise<Outcome> {
  let call = exchange
  for (let to = route; ;) {
    try {
      return await next(call, to)
    } catch (caught) {
      const error = GatewayError.from(caught, to.server)
      const other = fallbackAfter(options, error, call, to)
      if (!other) throw error
      exchange.trace.fellBack(to.server)
      exchange.trace.found(other.route)
      exchange.state.stick(undefined)
      to = other.route
      call = renamed(call, other.args)
    }
  }
}

/** The fallback of a failed call. `undefined`: there is none. */
function fallbackAfter(
  { fallbackOf, routeTo, logger }: FallbackOptions,
  error: GatewayError,
  exchange: Exchange,
  { server, own }: Route,
): { readonly route: Route; readonly args: FallbackConfig['args'] } | undefined {
  const configured = fallbackOf?.(server, own)
  if (!configured || error.delivery !== 'not_sent' || !isOfReplica(error)) return undefined
  if (exchange.cancellation.reason !== undefined) return undefined
  const { tool = own, args } = configured
  const about = { server, fallback: configured.server, tool }
  const route = routeTo(exchange, configured.server, tool)
  if (!route) {
    logger.warn('The fallback has no such tool, or the client may not use it.', about)
    return undefined
  }
  logger.info('No replica could take the call; it goes to the fallback.', { ...about, cause: error.message })
  return { route, args }
}

/** The same call with the argument names of the other server. */
function renamed(exchange: Exchange, args: Readonly<Record<string, string>>): Exchange {
  const { params } = exchange.request
  if (!params || Object.keys(args).length === 0) return exchange
  const member = find(members(params.text), 'arguments')
  const given = params.value.arguments
  if (!member || !isJsonObject(given)) return exchange
  const theirs = new Map(Object.entries(args).map(([their, our]) => [our, their]))
  const edits = members(params.text, member.start).flatMap(({ key, keyStart }) => {
    const name = theirs.get(key)
    if (name === undefined) return []
    return [{ start: keyStart, end: skipValue(params.text, keyStart), text: JSON.stringify(name) }]
  })
  if (edits.length === 0) return exchange
  const text = splice(params.text, edits)
  const changed: Json<JsonObject> = { text, value: JSON.parse(text) as JsonObject }
  return new WithParams(exchange, changed)
}
