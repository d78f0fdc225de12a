import type { GuardedFetch } from '../fetch/guarded-fetch.ts'
import { authenticateClient, type ClientAuthentication } from './client-authentication.ts'
import type { TokenSet } from './token-set.ts'

/**
 * Revokes a refresh token with everything that was issued for it (RFC 7009), else the access token. Resolves to whether
 * the authorization server has confirmed it.
 */
export async function revoke(
  endpoint: string,
  { refreshToken, accessToken }: Pick<TokenSet, 'refreshToken' | 'accessToken'>,
  by: { readonly client: ClientAuthentication; readonly fetch: GuardedFetch; readonly signal: AbortSignal },
): Promise<boolean> {
  const form = new URLSearchParams({
    token: refreshToken ?? accessToken,
    token_type_hint: refreshToken === undefined ? 'access_token' : 'refresh_token',
  })
  const headers = new Headers({ 'content-type': 'application/x-www-form-urlencoded' })
  await authenticateClient(form, headers, by.client)
  const answer = await by.fetch(endpoint, {
    method: 'POST',
    headers,
    body: form.toString(),
    redirect: 'error',
    signal: by.signal,
  })
  return answer.ok
}
