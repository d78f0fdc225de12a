import type { RecordName, VaultRecord } from '../../vault/vault.ts'
import { DpopKey } from '../oauth/dpop-key.ts'
import { OAuthFailure } from '../oauth/failure.ts'
import { requestGrant } from '../oauth/grants/granted.ts'
import { forgetRegistration, registrationOf } from '../oauth/registration.ts'
import { usableUntil, type TokenSet } from '../oauth/token-set.ts'
import type { ServerLogin } from './server-login.ts'

type Tokens = VaultRecord<TokenSet>

/**
 * Renews tokens once for all processes: alone, after another look at the vault, where another one may have renewed them
 * already. New tokens are saved before they are used. `undefined`: the login is lost.
 * @param known the tokens that are due
 * @param isRefused whether the server refuses them
 */
export async function renewed(
  login: ServerLogin,
  name: RecordName,
  known: TokenSet,
  isRefused: boolean,
): Promise<Tokens | undefined> {
  const { vault } = login
  return await vault.exclusively(name, async own => {
    const read = await vault.read<TokenSet>(name)
    const tokens = read && login.trusts(read) ? read : undefined
    if (!tokens) return undefined
    const { value } = tokens
    const isOther = value.accessToken !== known.accessToken
    if (isOther && Date.now() < usableUntil(value)) return tokens
    if (value.refreshToken === undefined) {
      if (!isOther && !isRefused && Date.now() < (value.expiresAt ?? Infinity)) return tokens
      await removeExactly(login, name, value)
      return undefined
    }
    try {
      const next = { issuer: tokens.issuer, value: await refresh(login, tokens, own.signal) }
      await vault.write(name, next)
      login.onRenewed(name.owner, isRefused ? 'refused' : 'due')
      return next
    } catch (caught) {
      return await afterRefusal(login, name, tokens, isRefused, caught)
    }
  })
}

async function refresh(login: ServerLogin, { issuer, value }: Tokens, lost: AbortSignal): Promise<TokenSet> {
  const { server, oauth, vault } = login
  const metadata = await login.issuer(issuer)
  const registration = await registrationOf(value, { server: server.name, oauth, metadata, vault })
  if (!registration)
    throw new OAuthFailure(
      `The registration with which server "${server.name}" was logged in to is gone. Fix: log in again.`,
      { code: 'invalid_client' },
    )
  const dpop = value.dpopKey && DpopKey.from(value.dpopKey)
  const context = login.context({ metadata, registration, resource: value.resource, dpop })
  const signal = AbortSignal.any([context.signal, lost])
  const next = await requestGrant(
    { ...context, signal },
    { grant_type: 'refresh_token', refresh_token: value.refreshToken },
  )
  const { refreshToken, scope, idToken } = value
  return {
    ...(refreshToken !== undefined && { refreshToken }),
    ...(scope !== undefined && { scope }),
    ...(idToken !== undefined && { idToken }),
    ...next,
    loggedInAt: value.loggedInAt ?? value.obtainedAt,
    // A trust that was given to one address does not move to another by a renewal.
    serverUrl: value.serverUrl,
  }
}

/** A refused refresh token is deleted, and no other: a process without the lease may have saved a newer one. */
async function afterRefusal(
  login: ServerLogin,
  name: RecordName,
  tokens: Tokens,
  isRefused: boolean,
  caught: unknown,
): Promise<Tokens | undefined> {
  const code = caught instanceof OAuthFailure ? caught.code : undefined
  if (code !== 'invalid_grant' && code !== 'invalid_client' && code !== 'unauthorized_client') throw caught
  const { value, issuer } = tokens
  const again = await login.vault.read<TokenSet>(name)
  if (again && login.trusts(again) && again.value.refreshToken !== value.refreshToken) return again
  if (code !== 'invalid_grant') await forgetRegistration(login.vault, login.server.name, value.clientId)
  if (isRefused || Date.now() >= (value.expiresAt ?? Infinity)) {
    await removeExactly(login, name, value)
    return undefined
  }
  const { refreshToken: _, ...rest } = value
  const last = { issuer, value: rest }
  await login.vault.write(name, last)
  return last
}

async function removeExactly({ vault }: ServerLogin, name: RecordName, value: TokenSet): Promise<void> {
  await vault.remove(name, record => {
    const { accessToken, refreshToken } = record.value as Partial<TokenSet>
    return accessToken === value.accessToken && refreshToken === value.refreshToken
  })
}
