import type { CallHandler, CallMiddleware } from '../core/compose.ts'
import { unfinishedOf } from '../core/errors.ts'
import type { Exchange, Outcome } from '../core/exchange.ts'
import type { Route } from '../core/route.ts'
import type { Unfinished } from '../core/unfinished.ts'
import type { AdmissionGate } from '../quota/admission-gate.ts'
import type { Quotas } from '../quota/quotas.ts'
import { storeWait } from './store-wait.ts'

export interface QuotaOptions {
  /** `undefined`: nothing is limited. */
  readonly quotas: Quotas | undefined
}

/**
 * Rates and concurrency limits of the called item: of the part of the client's quota, of the server, of the tool. The
 * caller's remaining quota is put into the state of the call, for the front that writes the result. The permits of a
 * cancelled call are held until its server has finished it.
 */
export function rateLimit({ quotas }: QuotaOptions): CallMiddleware | undefined {
  if (!quotas) return undefined
  return next => (exchange, route) => {
    const limits = quotas.route(exchange.principal, exchange.request.method, route)
    if (!limits) return next(exchange, route)
    const { gate, left } = limits
    exchange.state.limitedBy(left)
    if (!gate) return next(exchange, route)
    const entering = gate.enter(quotas.clock.steady())
    return entering || gate.hasLeases ? inside(gate, entering, next, exchange, route) : next(exchange, route)
  }
}

async function inside(
  gate: AdmissionGate,
  entering: Promise<void> | undefined,
  next: CallHandler,
  exchange: Exchange,
  route: Route,
): Promise<Outcome> {
  if (entering) await storeWait(entering, exchange.trace)
  let unfinished: Unfinished | undefined
  try {
    return await next(exchange, route)
  } catch (error) {
    unfinished = unfinishedOf(error)
    throw error
  } finally {
    if (unfinished) unfinished.onEnd(() => gate.leave())
    else gate.leave()
  }
}
