import { OAuthFailure } from '../failure.ts'
import type { Grant, GrantContext } from '../grant.ts'
import { requestToken } from '../token-request.ts'
import { aboutGrant, granted, requestGrant, scopeText } from './granted.ts'
import type { IdentityProviders } from './identity-providers.ts'
import { isOfCaller, subjectToken, type SubjectToken } from './subject-token.ts'

const TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:'
export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'

/**
 * Exchanges a subject token for one for the server (RFC 8693): at the identity provider, or without one at the
 * authorization server of the server. The token of a caller goes to a configured identity provider only.
 */
export function tokenExchange(identityProviders: IdentityProviders): Grant {
  return async context => {
    const idp = await identityProviders.of(context)
    if (!idp && isOfCaller(context)) throw notWithoutProvider(context)
    const subject = await subjectToken(context)
    const form = {
      grant_type: TOKEN_EXCHANGE,
      ...subjectForm(subject, `${TOKEN_TYPE}jwt`),
      requested_token_type: `${TOKEN_TYPE}access_token`,
    }
    if (!idp) return await requestGrant(context, form)
    const { oauth, resource, scopes, dpop, signal } = context
    const answer = await requestToken({
      about: aboutGrant(context),
      endpoint: idp.tokenEndpoint,
      form: { ...oauth.extraParams, scope: scopeText(scopes), resource, ...form },
      client: idp.client,
      dpop,
      fetch: idp.fetch,
      signal,
    })
    return granted(context, answer)
  }
}

/** @param jwtType what a JWT is that does not say itself that it is an access token */
export function subjectForm({ token, isAccessToken }: SubjectToken, jwtType: string): Record<string, string> {
  return {
    subject_token: token,
    subject_token_type: isAccessToken ? `${TOKEN_TYPE}access_token` : jwtType,
  }
}

/** The token of a caller is for the gateway. No server and no authorization server of one gets it. */
export function notWithoutProvider(context: GrantContext): OAuthFailure {
  const message = `${aboutGrant(context)} would send the token of a caller to the authorization server of the server. Fix: set oauth.idp.issuer or oauth.idp.tokenEndpoint, and the grant "id_jag" or "token_exchange".`
  return new OAuthFailure(message)
}
