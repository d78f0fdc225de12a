import type { Handler, Middleware } from '../core/compose.ts'
import { GatewayError } from '../core/errors.ts'
import type { Exchange, Outcome } from '../core/exchange.ts'
import type { Route } from '../core/route.ts'
import type { Charge } from '../quota/gate.ts'
import type { Quotas } from '../quota/quotas.ts'

/**
 * Innermost before dispatch: budgets are charged for what a server worked on, and for what it may have worked on; what certainly never reached it is
 * free.
 */
export function budget(quotas: Quotas): Middleware {
  return next => (exchange, route) => {
    const charge = quotas.route(exchange.principal, exchange.request.method, route)?.charge
    return charge ? charged(charge, next, exchange, route) : next(exchange, route)
  }
}

async function charged(charge: Charge, next: Handler, exchange: Exchange, route: Route): Promise<Outcome> {
  const entering = charge.enter()
  if (entering) await entering
  const since = performance.now()
  try {
    const outcome = await next(exchange, route)
    charge.settle(performance.now() - since, charge.countsBytes ? Buffer.byteLength(outcome.text) : 0)
    return outcome
  } catch (error) {
    if (error instanceof GatewayError && error.delivery === 'not_sent') charge.giveBack(since)
    else charge.settle(performance.now() - since, 0)
    throw error
  }
}
