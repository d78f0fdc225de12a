import type { Handler, Middleware } from '../core/compose.ts'
import type { Exchange, JsonObject, Outcome } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { Route } from '../core/route.ts'
import { find, members, skipSpace, withMembers } from '../protocol/json-text.ts'
import { OWN_META_PREFIX } from '../protocol/revisions.ts'
import type { Clock } from '../quota/clock.ts'
import { leftText } from '../quota/left.ts'
import type { Quotas, RouteLimits } from '../quota/quotas.ts'

const QUOTA = `${OWN_META_PREFIX}quota`

/** Rates and places of what is called: of the part of what the client may use, of the server, of the tool. Results say what the caller has left. */
export function meter(quotas: Quotas): Middleware {
  return next => (exchange, route) => {
    const limits = quotas.route(exchange.principal, exchange.request.method, route)
    return limits && (limits.gate || limits.visible)
      ? metered(limits, quotas.clock, next, exchange, route)
      : next(exchange, route)
  }
}

async function metered(
  { gate, visible }: RouteLimits,
  clock: Clock,
  next: Handler,
  exchange: Exchange,
  route: Route,
): Promise<Outcome> {
  const entering = gate?.enter()
  if (entering) await entering
  try {
    const outcome = await next(exchange, route)
    return visible ? withLeft(outcome, leftText(visible, clock)) : outcome
  } finally {
    gate?.leave()
  }
}

function isEmpty(object: JsonObject): boolean {
  for (const _ in object) return false
  return true
}

/** The result with what is left in its `_meta`. `value` goes along, since others decide by it what to add. */
function withLeft(outcome: Outcome, left: string): Outcome {
  if (outcome.kind === 'ready' && outcome.head !== undefined)
    return { ...outcome, head: `${outcome.head},"${QUOTA}":${left}` }
  if (outcome.kind !== 'result' || !isJsonObject(outcome.value)) return outcome
  const { text, value } = outcome
  const meta = value._meta
  if (meta === undefined) {
    const open = skipSpace(text, 0) + 1
    const comma = isEmpty(value) ? '' : ','
    return {
      kind: 'result',
      text: `${text.slice(0, open)}"_meta":{"${QUOTA}":${left}}${comma}${text.slice(open)}`,
      value: { ...value, _meta: {} },
      modern: outcome.modern,
    }
  }
  const member = isJsonObject(meta) ? find(members(text), '_meta') : undefined
  if (!member) return outcome
  const changed = withMembers(text.slice(member.start, member.end), { [QUOTA]: left })
  return { ...outcome, text: text.slice(0, member.start) + changed + text.slice(member.end) }
}
