import type { FallbackConfig } from '../config/replica-types.ts'
import type { ServerConfig } from '../config/types.ts'
import type { Handler, Middleware } from '../core/compose.ts'
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
  /** What is configured for a tool of a server. */
  readonly fallbackOf: (server: string, tool: string) => FallbackConfig | undefined
  /** The route by which the client may call a tool of a server; `undefined` where it may not. */
  readonly routeTo: (exchange: Exchange, server: string, tool: string) => Route | undefined
  /** The whole way of a call. */
  readonly call: () => Handler
  readonly logger: Logger
}

/** What the configuration says of a tool; the first setting that is about it decides, else that of its server. */
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
  if (some.size === 0) return () => undefined
  return (server, tool) => {
    const configured = some.get(server)
    return configured && (configured.tools.find(({ matches }) => matches(tool))?.of ?? configured.own)
  }
}

/**
 * Outermost: a call that no replica of its server could take, and that was certainly not run, becomes a call of another server, where one is configured. It is such a
 * call in every respect: that server's rules, quotas, queue and cache apply.
 */
export function fallback(options: FallbackOptions): Middleware {
  return next => (exchange, route) => {
    const other =
      exchange.request.method === 'tools/call' ? options.fallbackOf(route.server, route.own) : undefined
    return other ? withFallback(options, next, exchange, route, other) : next(exchange, route)
  }
}

async function withFallback(
  { routeTo, call, logger }: FallbackOptions,
  next: Handler,
  exchange: Exchange,
  route: Route,
  { server, tool = route.own, args }: FallbackConfig,
): Promise<Outcome> {
  try {
    return await next(exchange, route)
  } catch (caught) {
    const error = GatewayError.from(caught, route.server)
    if (error.delivery !== 'not_sent' || !isOfReplica(error) || exchange.cancellation.reason !== undefined)
      throw error
    const other = routeTo(exchange, server, tool)
    if (!other) {
      logger.warn('The fallback has no such tool, or the client may not use it.', {
        server: route.server,
        fallback: server,
        tool,
      })
      throw error
    }
    logger.info('No replica could take the call; it goes to the fallback.', {
      server: route.server,
      fallback: server,
      tool,
      cause: error.message,
    })
    exchange.trace.fellBack(route.server)
    exchange.state.stick(undefined)
    return await call()(renamed(exchange, args), other)
  }
}

/** The same call with the other server's names of its arguments. */
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
