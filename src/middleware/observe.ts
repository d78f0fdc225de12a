import { randomBytes } from 'node:crypto'
import type { CallMiddleware } from '../core/compose.ts'
import { describeError, GatewayError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'

/** Outermost: converts every failure to one kind of error, gives it an id, and logs it once with its cause. */
export function observe({ logger }: { readonly logger: Logger }): CallMiddleware {
  return next => async (exchange, route) => {
    exchange.trace.found(route)
    try {
      return await next(exchange, route)
    } catch (caught) {
      const error = GatewayError.from(caught, route.server)
      error.errorId ??= randomBytes(6).toString('hex')
      const { method } = exchange.request
      // The shutdown of the gateway has answered it, and logs all such calls together.
      const level = exchange.cancellation.error ? 'debug' : error.kind.log
      // The route of the fallback, if one has taken the call.
      const { server, own: name } = exchange.trace.route ?? route
      logger[level](`${method} failed: ${error.message}`, {
        server,
        name,
        code: error.code,
        errorId: error.errorId,
        cause: error.cause === undefined ? undefined : describeError(error.cause),
      })
      throw error
    }
  }
}
