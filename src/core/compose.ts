import { GatewayError } from './errors.ts'
import type { Exchange, Outcome } from './exchange.ts'
import type { Pass } from './pass.ts'
import type { Route } from './route.ts'

/** Handles a request. Rejects with a `GatewayError` only. */
export type Handler<R, T = void> = (request: R, about: T) => Promise<Outcome>

/**
 * Wraps a handler. One that is done with a request returns what `next` returns. One that declares `repeats` may call `next` several times in a pass, and gives
 * passes that run beside each other requests of their own; every other one calls it at most once.
 */
export interface Middleware<R, T = void> {
  (next: Handler<R, T>): Handler<R, T>
  readonly repeats?: true
}

/** Handles one call that has been routed. */
export type CallHandler = Handler<Exchange, Route>
export type CallMiddleware = Middleware<Exchange, Route>

/** Handles one request of a client, whatever it is about. */
export type RequestHandler = Handler<Exchange>
export type RequestMiddleware = Middleware<Exchange>

/** Declares that a middleware may call `next` several times in one pass. */
export function repeating<R, T>(middleware: (next: Handler<R, T>) => Handler<R, T>): Middleware<R, T> {
  return Object.assign((next: Handler<R, T>) => middleware(next), { repeats: true as const })
}

/**
 * Composes once per generation: `compose([a, b], c)` runs a, then b, then c; the first is the outermost. `undefined` stands for a middleware that has
 * nothing to do. A second `next` in one pass is refused with a `GatewayError`, because a call would run twice. `from`: how many middlewares of an outer
 * chain a request has passed before.
 */
export function compose<R extends Pass, T = void>(
  list: readonly (Middleware<R, T> | undefined)[],
  last: Handler<R, T>,
  from = 0,
): Handler<R, T> {
  return list.reduceRight(
    (next, middleware, at) => (middleware ? middleware(guarded(next, middleware, from + at)) : next),
    last,
  )
}

/** `next` of the middleware at this place. The request itself carries how far it has come, so that nothing is made for a pass. */
function guarded<R extends Pass, T>(
  next: Handler<R, T>,
  { repeats }: Middleware<R, T>,
  at: number,
): Handler<R, T> {
  if (repeats)
    return (request, about) => {
      request.passed = at + 1
      return next(request, about)
    }
  return (request, about) => {
    if (request.passed > at) return Promise.reject(twice(at))
    request.passed = at + 1
    return next(request, about)
  }
}

function twice(at: number): GatewayError {
  return new GatewayError('internal', `Middleware ${at + 1} of the chain called next twice in one pass.`)
}
