import type { Middleware } from '../core/compose.ts'
import { GatewayError } from '../core/errors.ts'
import type { Exchange, JsonObject } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { Logger } from '../core/logger.ts'
import type { Decision, Route } from '../core/route.ts'
import { repeatedKey } from '../protocol/json-text.ts'

/** Hears of every decision that was made with a call. */
export type OnDecision = (exchange: Exchange, route: Route, decision: Decision) => void

/**
 * Decides what depends on the arguments of a call or on the time, with every round of it. What is denied whatever the arguments never comes here: it has no
 * route. Calls of everything else pass untouched.
 */
export function authorize(onDecision: OnDecision): Middleware {
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

/** @throws GatewayError `denied`; `invalid_request` for arguments that two readers could understand differently */
export function checkCall(exchange: Exchange, route: Route, onDecision: OnDecision): void {
  if (!route.check) return
  const decision = route.check(argumentsOf(exchange))
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

/** Puts what was decided into the record of the call, and says in the log what rules in shadow mode would have denied. */
export function recordDecision(logger: Logger): OnDecision {
  return (exchange, route, { rule, shadowed }) => {
    exchange.record.rule = rule
    if (shadowed === undefined) return
    exchange.record.shadowed = shadowed
    logger.info('Would be denied.', {
      rule: shadowed,
      client: exchange.principal.name,
      method: exchange.request.method,
      server: route.server,
      name: route.own,
    })
  }
}

/** What conditions see as `args`: the arguments of a tool or prompt; those known so far where one is being completed. */
function argumentsOf(exchange: Exchange): JsonObject {
  const { method, params } = exchange.request
  if (!params) return {}
  const twice = repeatedKey(params.text)
  // A server may read the other of the two than the condition did.
  if (twice !== undefined)
    throw new GatewayError('invalid_request', `Member ${JSON.stringify(twice)} stands twice in one object.`)
  const { arguments: given, argument, context } = params.value
  if (method !== 'completion/complete') return isJsonObject(given) ? given : {}
  const known = isJsonObject(context) && isJsonObject(context.arguments) ? context.arguments : {}
  const { name, value } = isJsonObject(argument) ? argument : {}
  return typeof name === 'string' ? { ...known, [name]: value } : known
}
