import type { ServerConfig } from '../../config/types.ts'
import type { Exchange } from '../../core/exchange.ts'
import { isUnidentified, type Principal } from '../../core/principal.ts'
import { canBeAsked, declaredTo } from '../../protocol/capabilities.ts'
import { isModernVersion, type Era } from '../../protocol/revisions.ts'
import { otherEra } from '../../protocol/spoken.ts'
import type { Replica } from './replica.ts'
import type { SlotKey } from './slot-key.ts'

/** Of an exchange, what decides whose links it may use. */
export type Caller = Pick<Exchange, 'conversation' | 'principal' | 'features' | 'protocolVersion'>

/**
 * Whose link to a replica a call uses:
 *
 * - The link has the client's era where the replica speaks it (`eraFor`).
 * - A modern link, and a legacy one without a session, is shared: nothing on the server's side belongs to one client.
 * - Otherwise each principal has its own, for all of its calls: a browser that one call has opened is there for the next.
 * - A client that can be asked (elicitation, sampling, roots) declares so through its link. A session then has a link of its own, because many servers do not
 *   ask on the stream of the call they ask for, and a question has to reach the program that holds the session. Calls without a session share one link for each
 *   principal and set of capabilities: whichever of them a question is asked through, it reaches the same principal.
 * - `isolation: "call"`: a link serves one call at a time.
 * - Roots that are configured do not count: the gateway answers for them itself, and the client is not asked. `features` is what is left.
 * - What lasts beyond a call (`lasting`) needs a link on which the server can say something between calls.
 */
export function keyFor(
  { isolation, roots }: Pick<ServerConfig, 'isolation' | 'roots'>,
  caller: Caller,
  features: string,
  replica: Replica,
  lasting = false,
): SlotKey {
  const { common, modern, suffix, spoken } = replica
  if (isolation === 'shared') return replica.own
  const era = eraFor(caller, features, replica, lasting)
  if (era === 'modern' && spoken.modern === true) return modern
  // Until the server has been greeted it may be one of sessions.
  const shared = era === 'modern' ? modern : common
  if (replica.stateless) return shared
  const { conversation, principal } = caller
  const capabilities = features === '' ? common.capabilities : declaredTo(features, roots)
  const who = clientOf(principal)
  if (isolation === 'call')
    return { id: `call ${who} ${features}${suffix}`, era, capabilities, owner: undefined, exclusive: true }
  if (conversation && (features !== '' || isolation === 'session'))
    return {
      id: `session ${conversation.id}${suffix}`,
      era,
      capabilities,
      owner: conversation,
      exclusive: false,
    }
  if (features === '' && who === '') return shared
  const id = features === '' ? `${who}${suffix}` : `${who} ${features}${suffix}`
  return { id, era, capabilities, owner: undefined, exclusive: false }
}

/** The era in which a replica serves a caller, or is asked to as long as that is not known. */
function eraFor({ protocolVersion }: Caller, features: string, replica: Replica, lasting: boolean): Era {
  const { spoken } = replica
  const wish = isModernVersion(protocolVersion) ? 'modern' : 'legacy'
  if (spoken[wish] === false) return otherEra(wish)
  // A legacy side without sessions can neither ask nor tell of updates; the modern side of the same server can.
  const isMute = wish === 'legacy' && replica.stateless && (lasting || canBeAsked(features))
  return isMute && spoken.modern === true ? 'modern' : wish
}

/** Whose link it is; `''` for everyone without credentials, who are one principal and cannot be told apart. */
export function clientOf(principal: Principal): string {
  return isUnidentified(principal) ? '' : principal.id
}
