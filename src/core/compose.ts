import { GatewayError } from './errors.ts'
import type { Exchange, Outcome } from './exchange.ts'
import type { Pass } from './pass.ts'
import type { Route } from './route.ts'

/** Handles a request. Rejects only with a `GatewayError`. */
export type Handler<R, T = void> = (request: R, about: T) => Promise<Outcome>

/**
 * Wraps a handler. A middleware with nothing left to do returns the promise of `next`. A middleware that declares
 * `repeats` may call `next` several times per pass, and creates a separate request for each parallel pass. Any other
 * middleware calls it at most once.
 */
export interface Middleware<R, T = void> {
  (next: Handler<R, T>): Handler<R, T>
  readonly repeats?: true
}

/** Handles one call that has been routed. */
export type CallHandler = Handler<Exchange, Route>
export type CallMiddleware = Middleware<Exchange, Route>

/** Handles one client request of any method. */
export type ClientRequestHandler = Handler<Exchange>
export type RequestMiddleware = Middleware<Exchange>

/** Declares that a middleware may call `next` several times per pass. */
export function repeating<R, T>(middleware: (next: Handler<R, T>) => Handler<R, T>): Middleware<R, T> {
  return Object.assign((next: Handler<R, T>) => middleware(next), { repeats: true as const })
}

/**
 * Composes once per generation: `compose([a, b], c)` runs a, then b, then c; the first is the outermost. `undefined`
 * stands for a middleware that has nothing to do. A second call of `next` in one pass is refused with a `GatewayError`,
 * because a call would run twice. `from` is the number of middlewares of an outer chain that a request has passed
 * before. `names` of the middlewares are for that error.
 */
export function compose<R extends Pass, T = void>(
  list: readonly (Middleware<R, T> | undefined)[],
  last: Handler<R, T>,
  from = 0,
  names: readonly string[] = [],
): Handler<R, T> {
  return list.reduceRight(
    (next, middleware, at) =>
      middleware ? middleware(guarded(next, middleware, from + at, names[at] ?? String(at + 1))) : next,
    last,
  )
}

/** `next` of the middleware at this index. The request carries its own position, so that a pass allocates nothing. */
function guarded<R extends Pass, T>(
  next: Handler<R, T>,
  { repeats }: Middleware<R, T>,
  at: number,
  name: string,
): Handler<R, T> {
  if (repeats)
    return (request, about) => {
      request.passed = at + 1
      return next(request, about)
    }
  return (request, about) => {
    if (request.passed > at) return Promise.reject(twice(name))
    request.passed = at + 1
    return next(request, about)
  }
}

function twice(name: string): GatewayError {
  return new GatewayError('internal', `Middleware ${name} of the chain called next twice in one pass.`)
}
