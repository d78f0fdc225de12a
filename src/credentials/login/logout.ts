import type { ServerConfig } from '../../config/types.ts'
import { describeError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import type { Vault, VaultRecord } from '../../vault/vault.ts'
import { guardedFetch, type GuardedFetch, type NameServers } from '../fetch/guarded-fetch.ts'
import type { AuthorizationServerMetadata } from '../oauth/metadata.ts'
import type { Registration } from '../oauth/registration.ts'
import type { TokenSet } from '../oauth/token-set.ts'

/** What a logout has done. */
export interface LoggedOut {
  /** Whether there was a login. */
  readonly found: boolean
  /** Whether the authorization server has confirmed that the tokens are revoked. */
  readonly revoked: boolean
}

const TIMEOUT_MS = 5000

/**
 * Forgets the login of an owner at a server, and has the authorization server revoke it where that can be done. The
 * login is forgotten first, so that no gateway uses it any more, whatever the authorization server answers.
 */
export async function logOut(
  vault: Vault,
  server: Pick<ServerConfig, 'name' | 'oauth'>,
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
    const registration = await registrationOf(vault, server, owner, kept.value)
    const fetch = guardedFetch({ serverUrl: kept.value.serverUrl, timeoutMs: TIMEOUT_MS, dns })
    return { found, revoked: await revoke(fetch, kept.issuer, kept.value, registration) }
  } catch (error) {
    logger.info('The login is forgotten, but the authorization server did not revoke it.', {
      server: server.name,
      cause: describeError(error),
    })
    return { found, revoked: false }
  }
}

async function registrationOf(
  vault: Vault,
  { name, oauth }: Pick<ServerConfig, 'name' | 'oauth'>,
  owner: string,
  { clientId, registration }: TokenSet,
): Promise<Pick<Registration, 'clientId' | 'clientSecret'>> {
  if (oauth !== false && oauth.clientId === clientId && oauth.clientSecret !== undefined)
    return { clientId, clientSecret: oauth.clientSecret }
  if (registration) return registration
  for (const of of new Set([owner, 'gateway'])) {
    const known = await vault.read<Registration>({ kind: 'registration', server: name, owner: of })
    if (known?.value.clientId === clientId) return known.value
  }
  return { clientId }
}

/** Revokes a refresh token with everything that was issued for it (RFC 7009), else the access token. */
async function revoke(
  fetch: GuardedFetch,
  issuer: string,
  { refreshToken, accessToken }: TokenSet,
  { clientId, clientSecret }: Pick<Registration, 'clientId' | 'clientSecret'>,
): Promise<boolean> {
  const endpoint = await revocationEndpoint(fetch, issuer)
  if (endpoint === undefined) return false
  const form = new URLSearchParams({
    token: refreshToken ?? accessToken,
    token_type_hint: refreshToken === undefined ? 'access_token' : 'refresh_token',
  })
  const headers: Record<string, string> = { 'content-type': 'application/x-www-form-urlencoded' }
  if (clientSecret === undefined) form.set('client_id', clientId)
  else
    headers['authorization'] =
      `Basic ${btoa(`${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret)}`)}`
  const answer = await fetch(endpoint, { method: 'POST', headers, body: form.toString() })
  return answer.ok
}

async function revocationEndpoint(fetch: GuardedFetch, issuer: string): Promise<string | undefined> {
  const { origin, pathname } = new URL(issuer)
  const path = pathname === '/' ? '' : pathname.replace(/\/$/, '')
  for (const url of [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}/.well-known/openid-configuration${path}`,
    `${origin}${path}/.well-known/openid-configuration`,
  ]) {
    const answer = await fetch(url, { headers: { accept: 'application/json' } })
    if (!answer.ok) continue
    const metadata = (await answer.json()) as Partial<AuthorizationServerMetadata>
    if (metadata.issuer === issuer) return metadata.revocation_endpoint
  }
  return undefined
}
