import type { OAuthConfig } from '../../../config/types.ts'
import type { Grant } from '../grant.ts'
import { clientCredentials } from './client-credentials.ts'
import { idJag } from './id-jag.ts'
import { IdentityProviders, type FetchFor } from './identity-providers.ts'
import { jwtBearer } from './jwt-bearer.ts'
import { tokenExchange } from './token-exchange.ts'

/** Values of `oauth.grant` that need no person. */
export type GrantName = Exclude<OAuthConfig['grant'], 'code' | 'device'>

/**
 * The grants that need no person, with what they keep in memory.
 * @param fetchFor fetches on behalf of an identity provider of the configuration
 */
export function grantsWithoutPerson(fetchFor: FetchFor): Readonly<Record<GrantName, Grant>> {
  const identityProviders = new IdentityProviders(fetchFor)
  return {
    client_credentials: clientCredentials,
    jwt_bearer: jwtBearer,
    token_exchange: tokenExchange(identityProviders),
    id_jag: idJag(identityProviders),
  }
}
