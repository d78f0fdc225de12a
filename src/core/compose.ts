import type { Exchange, Outcome } from './exchange.ts'
import type { Route } from './route.ts'

/** Handles one call that has been routed. Rejects with a `GatewayError` only. */
export type Handler = (exchange: Exchange, route: Route) => Promise<Outcome>

/** Wraps a handler. In a list, the first is the outermost. */
export type Middleware = (next: Handler) => Handler

/** Composes once per generation: `compose([a, b], c)` runs a, then b, then c. */
export function compose(list: readonly Middleware[], last: Handler): Handler {
  return list.reduceRight((next, middleware) => middleware(next), last)
}
