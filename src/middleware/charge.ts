import type { CallHandler, CallMiddleware } from '../core/compose.ts'
import { GatewayError } from '../core/errors.ts'
import type { Exchange, Outcome } from '../core/exchange.ts'
import type { Route } from '../core/route.ts'
import type { Charge } from '../quota/admission-gate.ts'
import type { QuotaOptions } from './rate-limit.ts'
import { storeWait } from './store-wait.ts'

/**
 * Innermost: charges the budgets for calls that a server has executed, or may have executed. A call that certainly
 * never reached it is free. Each request to a server is charged separately. Calls without a budget pass unchanged.
 */
export function charge({ quotas }: QuotaOptions): CallMiddleware | undefined {
  if (!quotas) return undefined
  return next => (exchange, route) => {
    const budgets = quotas.route(exchange.principal, exchange.request.method, route)?.charge
    return budgets ? charged(budgets, next, exchange, route) : next(exchange, route)
  }
}

async function charged(
  budgets: Charge,
  next: CallHandler,
  exchange: Exchange,
  route: Route,
): Promise<Outcome> {
  let since = performance.now()
  const entering = budgets.enter(since)
  if (entering) {
    await storeWait(entering, exchange.trace)
    since = performance.now()
  }
  try {
    const outcome = await next(exchange, route)
    const { trace } = exchange
    const until = trace.endedAt > since ? trace.endedAt : performance.now()
    budgets.settle(until - since, budgets.countsBytes ? trace.sizeOf(outcome) : 0, until)
    return outcome
  } catch (error) {
    giveUp(budgets, error, since)
    throw error
  }
}

function giveUp(budgets: Charge, error: unknown, since: number): void {
  if (error instanceof GatewayError && error.delivery === 'not_sent') return budgets.giveBack(since)
  const until = performance.now()
  budgets.settle(until - since, 0, until)
}
