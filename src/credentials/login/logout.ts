import type { ServerConfig } from '../../config/types.ts'
import { describeError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import type { Vault, VaultRecord } from '../../vault/vault.ts'
import { guardedFetch, type NameServers } from '../fetch/guarded-fetch.ts'
import { serverUrlOf } from '../login-settings.ts'
import { authenticationOf, type ClientAuthentication } from '../oauth/client-authentication.ts'
import { knownMetadata } from '../oauth/discovery.ts'
import type { AuthorizationServerMetadata } from '../oauth/metadata.ts'
import { registrationOf, type ClientSettings } from '../oauth/registration.ts'
import { revoke } from '../oauth/revocation.ts'
import { trusts, type TokenSet } from '../oauth/token-set.ts'

/** What a logout has done. */
export interface LoggedOut {
  /** Whether there was a login. */
  readonly found: boolean
  /** Whether the authorization server has confirmed that the tokens are revoked. */
  readonly revoked: boolean
}

/** Of one request, and of all. */
const TIMEOUT_MS = 5000
const TOTAL_MS = 15_000

const NOTHING: ClientSettings = {
  clientId: undefined,
  clientSecret: undefined,
  clientMetadataUrl: undefined,
  privateKey: undefined,
  authMethod: undefined,
}

/** A server as far as its configuration is there. */
type RevokedServer = Pick<ServerConfig, 'name' | 'oauth' | 'replicas'>

/**
 * Forgets the login of an owner at a server, and has the authorization server revoke it where that can be done. The
 * login is forgotten first, so that no gateway uses it any more, whatever the authorization server answers.
 */
export async function logOut(
  vault: Vault,
  server: RevokedServer,
  owner: string,
  { logger, dns }: { readonly logger: Logger; readonly dns: () => NameServers },
): Promise<LoggedOut> {
  const name = { kind: 'tokens', server: server.name, owner } as const
  let kept: VaultRecord<TokenSet> | undefined
  // Read as it is removed: what a renewal has stored in between would not be revoked. The second is for a record that
  // cannot be opened.
  const take = (record: VaultRecord<unknown>): boolean => {
    kept = record as VaultRecord<TokenSet>
    return true
  }
  const found = (await vault.remove(name, take)) || (await vault.remove(name))
  if (!kept || kept.issuer === '') return { found, revoked: false }
  try {
    const { issuer, value } = kept
    const { serverUrl } = value
    const fetch = guardedFetch({ serverUrl, timeoutMs: TIMEOUT_MS, dns })
    const signal = AbortSignal.timeout(TOTAL_MS)
    const metadata = await knownMetadata(issuer, { server: server.name, serverUrl, fetch, signal })
    const { revocation_endpoint: endpoint } = metadata
    if (endpoint === undefined) return { found, revoked: false }
    const client = await authenticationFor(vault, server, kept, metadata)
    return { found, revoked: await revoke(endpoint, value, { client, fetch, signal }) }
  } catch (error) {
    logger.info('The login is forgotten, but the authorization server did not revoke it.', {
      server: server.name,
      cause: describeError(error),
    })
    return { found, revoked: false }
  }
}

/** As what the tokens were got, and how the gateway shows it there: as for a renewal. */
async function authenticationFor(
  vault: Vault,
  server: RevokedServer,
  kept: VaultRecord<TokenSet>,
  metadata: AuthorizationServerMetadata,
): Promise<ClientAuthentication> {
  const { clientId } = kept.value
  // What is configured now may be for another place.
  const oauth =
    server.oauth !== false && trusts(server.oauth, serverUrlOf(server), kept) ? server.oauth : NOTHING
  const registration = await registrationOf(kept.value, { server: server.name, oauth, metadata, vault })
  if (registration) return authenticationOf({ oauth, registration, metadata })
  return authenticationOf({ oauth: NOTHING, registration: { kind: 'document', clientId }, metadata })
}
