import { signAssertion, signingKey } from '../client-authentication.ts'
import { OAuthFailure } from '../failure.ts'
import type { GrantContext } from '../grant.ts'
import type { TokenSet } from '../token-set.ts'
import { aboutGrant, requestGrant } from './granted.ts'
import { isOfCaller, subjectToken } from './subject-token.ts'
import { notWithoutProvider } from './token-exchange.ts'

export const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
/** An assertion is redeemed at once. */
const ASSERTION_SECONDS = 60

/** Presents a JWT as the grant (RFC 7523): the one of a workload, or one that the gateway signs for itself. */
export async function jwtBearer(context: GrantContext): Promise<TokenSet> {
  if (isOfCaller(context)) throw notWithoutProvider(context)
  return await requestGrant(context, { grant_type: JWT_BEARER, assertion: await assertionOf(context) })
}

async function assertionOf(context: GrantContext): Promise<string> {
  const { oauth, registration, metadata } = context
  if (oauth.idp?.subjectToken === undefined)
    return await signAssertion(
      signingKey(oauth.privateKey, 'oauth'),
      metadata.token_endpoint_auth_signing_alg_values_supported,
      {
        iss: registration.clientId,
        sub: registration.clientId,
        aud: metadata.issuer,
        lifetimeSeconds: ASSERTION_SECONDS,
      },
    )
  const { token, isJwt } = await subjectToken(context)
  if (isJwt) return token
  const message = `${aboutGrant(context)} has a subject token that is no JWT. Fix: check oauth.idp.subjectToken.`
  throw new OAuthFailure(message)
}
