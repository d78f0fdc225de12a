import type { CallMiddleware } from '../core/compose.ts'
import { GatewayError } from '../core/errors.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Logger } from '../core/logger.ts'
import type { Decision, Route } from '../core/route.ts'
import { argumentsOf } from './arguments.ts'

/** Hears of every decision that was made with a call. */
export type OnDecision = (exchange: Exchange, route: Route, decision: Decision) => void

export interface AuthorizeOptions {
  readonly onDecision: OnDecision
}

/**
 * Decides what depends on the arguments of a call or on the time, with every round of it. What is denied whatever the arguments never comes here: it has no
 * route. Calls of everything else pass untouched.
 */
export function authorize({ onDecision }: AuthorizeOptions): CallMiddleware {
  return next => (exchange, route) => {
    if (!route.check) return next(exchange, route)
    try {
      checkCall(exchange, route, onDecision)
    } catch (error) {
      return Promise.reject(error as GatewayError)
    }
    return next(exchange, route)
  }
}

/** @throws GatewayError `denied`; `invalid_request` and `invalid_params` for arguments that a server could read differently than a condition */
export function checkCall(exchange: Exchange, route: Route, onDecision: OnDecision): void {
  if (!route.check) return
  const decision = route.check.decide(argumentsOf(exchange.request, route.check.reads))
  onDecision(exchange, route, decision)
  if (decision.verdict === 'allow') return
  // Nothing of the condition itself: it may hold what is nobody's business. Its place is enough for whoever can change it.
  const why = decision.rule === 'default' ? 'no rule allows it' : decision.rule
  throw new GatewayError(
    'denied',
    `This call of ${route.exposed} is not allowed with these arguments or at this time (${why}). Change the arguments, or ask whoever runs the gateway.`,
    { server: route.server },
  )
}

/** Puts what was decided into the trace of the call, and says in the log what rules in shadow mode would have denied. */
export function recordDecision(logger: Logger): OnDecision {
  return (exchange, route, { rule, shadowed }) => {
    exchange.trace.decided(rule, shadowed)
    if (shadowed === undefined) return
    logger.info('Would be denied.', {
      rule: shadowed,
      client: exchange.principal.name,
      method: exchange.request.method,
      server: route.server,
      name: route.own,
    })
  }
}
