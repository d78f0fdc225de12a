import type { CallMiddleware } from '../core/compose.ts'
import { GatewayError } from '../core/errors.ts'
import type { CallRequest, Exchange } from '../core/exchange.ts'
import type { Logger } from '../core/logger.ts'
import type { Decision, Route } from '../core/route.ts'
import { argumentsOf } from './arguments.ts'

/** Called for every decision that was made at a call. */
export type OnDecision = (exchange: Exchange, route: Route, decision: Decision) => void

export interface AuthorizeOptions {
  readonly onDecision: OnDecision
}

/**
 * Decides rules that depend on the arguments of a call or on the time, with every round of the call. An item that is
 * always denied has no route and never gets here. Other calls pass unchanged.
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

/**
 * @throws GatewayError `denied`; `invalid_request` and `invalid_params` for arguments that a server could read
 * differently than a condition
 */
export function checkCall(exchange: Exchange, route: Route, onDecision: OnDecision): void {
  if (!route.check) return
  const decision = route.check.decide(argumentsOf(exchange.request, route.check.reads))
  onDecision(exchange, route, decision)
  if (decision.verdict === 'allow') return
  // Without the condition itself, which may be confidential. The position of the rule is enough for the operator.
  const why = decision.rule === 'default' ? 'no rule allows it' : decision.rule
  throw new GatewayError(
    'denied',
    `This call of ${route.exposed} is not allowed with these arguments or at this time (${why}). Change the arguments, or ask the operator of the gateway.`,
    { server: route.server },
  )
}

/** Whether a call would pass `checkCall` now. Nothing is recorded. */
export function isAllowed(request: CallRequest, { check }: Route): boolean {
  if (!check) return true
  try {
    return check.decide(argumentsOf(request, check.reads)).verdict === 'allow'
  } catch {
    return false
  }
}

/** Puts the decision into the trace of the call, and logs what rules in shadow mode would have denied. */
export function recordDecision(logger: Logger): OnDecision {
  return (exchange, route, { rule, shadowed }) => {
    exchange.trace.decided(rule, shadowed)
    if (shadowed === undefined) return
    logger.info('A rule in shadow mode would deny this request.', {
      rule: shadowed,
      client: exchange.principal.name,
      method: exchange.request.method,
      server: route.server,
      name: route.own,
    })
  }
}
