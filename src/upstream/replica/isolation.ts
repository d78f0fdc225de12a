import type { ServerConfig } from '../../config/types.ts'
import type { Exchange } from '../../core/exchange.ts'
import { isUnidentified, type Principal } from '../../core/principal.ts'
import { canBeAsked, declaredTo } from '../../protocol/capabilities.ts'
import { isModernVersion, type Era } from '../../protocol/revisions.ts'
import { otherEra } from '../../protocol/spoken.ts'
import { principalTag } from './principal-tag.ts'
import type { Replica } from './replica.ts'
import type { SlotKey } from './slot-key.ts'

/** The part of an exchange that determines the links it may use. */
export type Caller = Pick<Exchange, 'conversation' | 'principal' | 'features' | 'protocolVersion'>

/**
 * The link to a replica that a call uses:
 *
 * - The link has the client's era if the replica supports it (`eraFor`).
 * - A modern link, and a legacy one without a session, is shared: the server keeps nothing for a single client.
 * - Otherwise each principal has its own link for all of its calls: a browser that one call has opened is available
 *   to the next.
 * - A client that can be asked (elicitation, sampling, roots) declares that through its link. A session then has a
 *   link of its own, because many servers do not send a request on the stream of the call that it belongs to, and it
 *   has to reach the client that holds the session. Calls without a session share one link for each principal and set
 *   of capabilities: through whichever of them a request is sent, it reaches the same principal.
 * - `isolation: "call"`: a link serves one call at a time.
 * - Configured roots do not count: the gateway answers for them itself, without the client. `features` is the rest.
 * - A server that gets credentials of each principal (`perClient`) has all of these links once for each principal, also
 *   those without a session: what a link presents is fixed.
 * - Subscriptions beyond a call (`lasting`) need a link on which the server can send messages between calls.
 */
export function keyFor(
  { isolation, roots, perClient }: Pick<ServerConfig, 'isolation' | 'roots' | 'perClient'>,
  caller: Caller,
  features: string,
  replica: Replica,
  lasting = false,
): SlotKey {
  const { spoken } = replica
  if (isolation === 'shared' && !perClient) return replica.own
  const presents = perClient ? caller.principal : undefined
  const { common, modern } = replica.sharedKeys(presents)
  const prefix = presents ? `${replica.prefix}${principalTag(presents)} ` : replica.prefix
  const era = eraFor(caller, features, replica, lasting)
  if (era === 'modern' && spoken.modern === true) return modern
  // Before the greeting, the server has to be assumed to keep sessions.
  const shared = era === 'modern' ? modern : common
  if (replica.stateless) return shared
  const { conversation, principal } = caller
  const capabilities = features === '' ? common.capabilities : declaredTo(features, roots)
  const client = clientOf(principal)
  if (isolation === 'call')
    return {
      id: `${prefix}call ${features} ${client}`,
      era,
      capabilities,
      owner: undefined,
      principal: presents,
      shared: undefined,
      exclusive: true,
    }
  if (conversation && (features !== '' || isolation === 'session'))
    return {
      id: `${prefix}session ${conversation.id}`,
      era,
      capabilities,
      owner: conversation,
      principal: presents,
      shared: undefined,
      exclusive: false,
    }
  if (features === '' && client === '') return shared
  // The client comes last: its name may contain any text, and no other part follows that could be taken for it.
  const id = features === '' ? `${prefix}${client}` : `${prefix}${features} ${client}`
  return {
    id,
    era,
    capabilities,
    owner: undefined,
    principal: presents,
    shared: undefined,
    exclusive: false,
  }
}

/** The era in which a replica serves a caller, or the wanted era while its eras are unknown. */
function eraFor({ protocolVersion }: Caller, features: string, replica: Replica, lasting: boolean): Era {
  const { spoken } = replica
  const wish = isModernVersion(protocolVersion) ? 'modern' : 'legacy'
  if (spoken[wish] === false) return otherEra(wish)
  // A legacy side without sessions can send neither requests nor notifications. The modern side of the same server can.
  const isMute = wish === 'legacy' && replica.stateless && (lasting || canBeAsked(features))
  return isMute && spoken.modern === true ? 'modern' : wish
}

/**
 * The owner of the link. `''` for all callers without credentials, which share one principal.
 */
export function clientOf(principal: Principal): string {
  return isUnidentified(principal) ? '' : principal.id
}
