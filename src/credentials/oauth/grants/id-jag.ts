import { createHash } from 'node:crypto'
import { monotonicNow } from '../../../core/clock.ts'
import { growingLru } from '../../../core/growing-lru.ts'
import { OAuthFailure } from '../failure.ts'
import type { Grant, GrantContext } from '../grant.ts'
import { requestToken } from '../token-request.ts'
import { aboutGrant, requestGrant, scopeText } from './granted.ts'
import type { IdentityProvider, IdentityProviders } from './identity-providers.ts'
import { JWT_BEARER } from './jwt-bearer.ts'
import { subjectToken, type SubjectToken } from './subject-token.ts'
import { subjectForm, TOKEN_EXCHANGE } from './token-exchange.ts'

const ID_JAG = 'urn:ietf:params:oauth:token-type:id-jag'
const ID_TOKEN = 'urn:ietf:params:oauth:token-type:id_token'
const MAX_ASSERTIONS = 10_000
/** Clocks differ, and an assertion that is about to end may end on its way. */
const MARGIN_MS = 15_000

interface Assertion {
  readonly jwt: string
  /** On the clock of `monotonicNow`. */
  readonly until: number
}

/**
 * Enterprise-managed authorization: the identity provider turns the identity of a person into an assertion for the
 * authorization server of one server (ID-JAG, by RFC 8693), and that turns it into tokens (RFC 7523). An assertion is
 * kept in memory until it ends, for one principal and one server.
 */
export function idJag(identityProviders: IdentityProviders): Grant {
  const assertions = growingLru<string, Assertion>(MAX_ASSERTIONS)
  return async context => {
    const idp = await identityProviders.of(context)
    if (!idp)
      throw new OAuthFailure(`${aboutGrant(context)} needs an identity provider. Fix: set oauth.idp.issuer.`)
    const subject = await subjectToken(context)
    const key = keyOf(context, idp, subject)
    const redeem = (jwt: string): ReturnType<Grant> =>
      requestGrant(context, { grant_type: JWT_BEARER, assertion: jwt })
    const known = assertions.get(key)
    if (known !== undefined && known.until > monotonicNow())
      try {
        return await redeem(known.jwt)
      } catch (error) {
        assertions.delete(key)
        // It may have been good for one use only.
        if (!(error instanceof OAuthFailure) || error.code !== 'invalid_grant') throw error
      }
    const assertion = await assertionFor(context, idp, subject)
    assertions.set(key, assertion)
    return await redeem(assertion.jwt)
  }
}

async function assertionFor(
  context: GrantContext,
  idp: IdentityProvider,
  subject: SubjectToken,
): Promise<Assertion> {
  const { metadata, resource, scopes, signal } = context
  const asked = monotonicNow()
  const answer = await requestToken({
    about: `${aboutGrant(context)}: the request to the identity provider`,
    endpoint: idp.tokenEndpoint,
    form: {
      grant_type: TOKEN_EXCHANGE,
      ...subjectForm(subject, ID_TOKEN),
      requested_token_type: ID_JAG,
      audience: metadata.issuer,
      resource,
      scope: scopeText(scopes),
    },
    client: idp.client,
    fetch: idp.fetch,
    signal,
  })
  if (answer.issuedTokenType !== undefined && answer.issuedTokenType !== ID_JAG) {
    const fix = 'check that the identity provider supports ID-JAG, and that oauth.idp.clientId may use it'
    throw new OAuthFailure(
      `${aboutGrant(context)} got another token than an ID-JAG from the identity provider. Fix: ${fix}.`,
    )
  }
  return { jwt: answer.accessToken, until: asked + (answer.expiresInSeconds ?? 0) * 1000 - MARGIN_MS }
}

/**
 * What an assertion depends on. The subject token is a part of it, so that another one is never answered with it, and
 * so is the secret, so that the identity provider is asked again once that is replaced.
 */
function keyOf(context: GrantContext, idp: IdentityProvider, { token }: SubjectToken): string {
  const { server, principal, metadata, registration, resource, scopes } = context
  const parts = [
    server.name,
    principal?.id,
    idp.tokenEndpoint,
    idp.client.clientId,
    idp.client.clientSecret,
    metadata.issuer,
    registration.clientId,
    resource,
    scopes,
    token,
  ]
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url')
}
