import type { Clock } from '../core/clock.ts'
import type { Handler, Middleware } from '../core/compose.ts'
import { GatewayError } from '../core/errors.ts'
import { sizeOf, type Exchange, type Outcome } from '../core/exchange.ts'
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
    return charge ? charged(charge, quotas.clock, next, exchange, route) : next(exchange, route)
  }
}

async function charged(
  charge: Charge,
  clock: Clock,
  next: Handler,
  exchange: Exchange,
  route: Route,
): Promise<Outcome> {
  const { record } = exchange
  let since = clock.steady()
  const entering = charge.enter(since)
  if (entering) {
    await entering
    since = clock.steady()
  }
  try {
    const outcome = await next(exchange, route)
    const until = record.endedAt || clock.steady()
    charge.settle(until - since, charge.countsBytes ? sizeOf(outcome, record) : 0, until)
    return outcome
  } catch (error) {
    if (error instanceof GatewayError && error.delivery === 'not_sent') charge.giveBack(since)
    else {
      const until = clock.steady()
      charge.settle(until - since, 0, until)
    }
    throw error
  }
}
