import { serverUrlOf } from '../../login-settings.ts'
import { authenticationOf } from '../client-authentication.ts'
import { OAuthFailure } from '../failure.ts'
import type { GrantContext } from '../grant.ts'
import { keptRegistration } from '../registration.ts'
import { requestToken, type TokenAnswer } from '../token-request.ts'
import type { TokenSet } from '../token-set.ts'

/** Asks the authorization server of the server for tokens, with what every grant has in common. */
export async function requestGrant(
  context: GrantContext,
  form: Readonly<Record<string, string | undefined>>,
): Promise<TokenSet> {
  const { oauth, resource, scopes, dpop, fetch, signal } = context
  const answer = await requestToken({
    about: aboutGrant(context),
    endpoint: tokenEndpointOf(context),
    form: { ...oauth.extraParams, scope: scopeText(scopes), resource, ...form },
    client: authenticationOf(context),
    dpop,
    fetch,
    signal,
  })
  return granted(context, answer)
}

/** @throws OAuthFailure where the authorization server has none */
export function tokenEndpointOf(context: GrantContext): string {
  const { token_endpoint: endpoint } = context.metadata
  if (endpoint !== undefined) return endpoint
  throw new OAuthFailure(
    `${aboutGrant(context)} has nowhere to go: its authorization server names no token endpoint. Fix: check oauth.issuer.`,
  )
}

/** How messages about a grant begin. */
export function aboutGrant({ server, oauth }: Pick<GrantContext, 'server' | 'oauth'>): string {
  return `The server "${server.name}": the grant "${oauth.grant}"`
}

export function scopeText(scopes: readonly string[] | undefined): string | undefined {
  return scopes === undefined || scopes.length === 0 ? undefined : scopes.join(' ')
}

/** An answer as it is kept. @throws OAuthFailure for a token of a type that the gateway cannot present */
export function granted(context: GrantContext, answer: TokenAnswer): TokenSet {
  const { server, oauth, registration, resource, dpop } = context
  const { tokenType, expiresInSeconds, refreshToken, scope, idToken } = answer
  const refuse = (cause: string, fix: string): never => {
    throw new OAuthFailure(`${aboutGrant(context)} gave ${cause}. Fix: ${fix}.`)
  }
  const isBound = tokenType === 'dpop'
  if (isBound && !dpop) refuse('a token that needs proofs (DPoP)', 'set oauth.dpop to true')
  if (!isBound && tokenType !== 'bearer')
    refuse('a token of an unknown type', 'check what the authorization server issues')
  if (!isBound && oauth.dpop === true)
    refuse(
      'a bearer token, although oauth.dpop is true',
      'remove oauth.dpop: the authorization server does not bind tokens',
    )
  const now = Date.now()
  return {
    accessToken: answer.accessToken,
    tokenType: isBound ? 'DPoP' : 'Bearer',
    expiresAt: expiresInSeconds === undefined ? undefined : now + expiresInSeconds * 1000,
    ...(refreshToken !== undefined && { refreshToken }),
    ...(scope !== undefined && { scope }),
    ...(idToken !== undefined && { idToken }),
    clientId: registration.clientId,
    ...keptRegistration(registration),
    obtainedAt: now,
    resource,
    serverUrl: serverUrlOf(server),
    ...(isBound && dpop && { dpopKey: dpop.jwk }),
  }
}
