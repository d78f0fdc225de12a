import type { ServerConfig } from '../config/types.ts'
import type { Exchange } from '../core/exchange.ts'
import { ANONYMOUS, LOCAL, type Principal } from '../core/principal.ts'
import { declaredTo } from '../protocol/features.ts'
import type { Replica } from './replica.ts'
import type { SlotKey } from './slot-key.ts'

/** Of an exchange, what decides whose links it may use. */
export type Caller = Pick<Exchange, 'conversation' | 'principal' | 'features'>

/**
 * Whose link to a replica a call uses:
 *
 * - A modern server, and a legacy one that keeps no session, is shared: nothing on its side belongs to one client.
 * - Otherwise each principal has its own, for all of its calls: a browser that one call has opened is there for the next.
 * - A client that can be asked (elicitation, sampling, roots) declares so through its link. A session then has a link of its own, because many servers do not
 *   ask on the stream of the call they ask for, and a question has to reach the program that holds the session. Calls without a session share one link for each
 *   principal and set of capabilities: whichever of them a question is asked through, it reaches the same principal.
 * - `isolation: "call"`: a link serves one call at a time.
 * - Roots that are configured do not count: the gateway answers for them itself, and the client is not asked. `features` is what is left.
 */
export function keyFor(
  { isolation, roots }: Pick<ServerConfig, 'isolation' | 'roots'>,
  { conversation, principal }: Caller,
  features: string,
  replica: Replica,
): SlotKey {
  const { shape, common, suffix } = replica
  const era = shape?.era ?? replica.era
  if (isolation === 'shared' || era === 'modern') return common
  const stateless = shape !== undefined && shape.kind === 'http' && !shape.sessionful
  if (stateless) return common
  const capabilities = features === '' ? common.capabilities : declaredTo(features, roots)
  const who = clientOf(principal)
  if (isolation === 'call')
    return { id: `call ${who} ${features}${suffix}`, capabilities, owner: undefined, exclusive: true }
  if (conversation && (features !== '' || isolation === 'session'))
    return { id: `session ${conversation.id}${suffix}`, capabilities, owner: conversation, exclusive: false }
  if (features === '')
    return who === '' ? common : { id: `${who}${suffix}`, capabilities, owner: undefined, exclusive: false }
  return { id: `${who} ${features}${suffix}`, capabilities, owner: undefined, exclusive: false }
}

/** Whose link it is; `''` for everyone without credentials, who are one principal and cannot be told apart. */
export function clientOf(principal: Principal): string {
  return principal === ANONYMOUS || principal === LOCAL ? '' : principal.id
}
