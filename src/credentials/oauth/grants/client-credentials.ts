import type { GrantContext } from '../grant.ts'
import type { TokenSet } from '../token-set.ts'
import { requestGrant } from './granted.ts'

/** The gateway acts for itself (RFC 6749, section 4.4), by a secret or by a key. */
export function clientCredentials(context: GrantContext): Promise<TokenSet> {
  return requestGrant(context, { grant_type: 'client_credentials' })
}
