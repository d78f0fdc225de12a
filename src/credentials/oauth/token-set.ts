import type { JsonWebKey } from 'node:crypto'
import type { OAuthConfig } from '../../config/types.ts'
import type { VaultRecord } from '../../vault/vault.ts'
import { isSameIssuer } from './issuer.ts'
import type { Registration } from './registration.ts'

/** What an authorization server has granted, as it is kept in the vault. */
export interface TokenSet {
  readonly accessToken: string
  readonly tokenType: 'Bearer' | 'DPoP'
  /** Unix milliseconds; `undefined`: the authorization server does not say. */
  readonly expiresAt: number | undefined
  readonly refreshToken?: string
  /** As granted, with spaces between scopes. */
  readonly scope?: string
  readonly idToken?: string
  /** Identifier that the gateway had at the authorization server. */
  readonly clientId: string
  /** The registration that the gateway made; `undefined`: the configuration has what is needed. */
  readonly registration?: Registration
  /** Unix milliseconds. */
  readonly obtainedAt: number
  /** Unix milliseconds of the login that a renewal goes on with; `undefined`: the tokens are those of the login. */
  readonly loggedInAt?: number
  /** Resource that the token is for (RFC 8707). */
  readonly resource: string | undefined
  /** Address of the server that the token is sent to. It is sent to no other origin. */
  readonly serverUrl: string
  readonly dpopKey?: JsonWebKey
}

/** Part of its life after which a token is renewed while it is still used. */
const RENEW_AT = 0.8
/** How long before its end a token is no longer sent without a renewal; at most a fifth of its life. */
const LAST_MS = 60_000

/** When a token is renewed in the background. */
export function renewalAt({ obtainedAt, expiresAt }: TokenSet): number {
  return expiresAt === undefined ? Infinity : obtainedAt + (expiresAt - obtainedAt) * RENEW_AT
}

/** Until when a token is sent without a look at a newer one. */
export function usableUntil({ obtainedAt, expiresAt }: TokenSet): number {
  if (expiresAt === undefined) return Infinity
  return expiresAt - Math.min(LAST_MS, (expiresAt - obtainedAt) * (1 - RENEW_AT))
}

/**
 * Tokens for another origin, issuer or identifier than those of the configuration are never sent. One that was given by
 * hand has neither issuer nor identifier.
 * @param serverUrl address of the server as it is configured
 */
export function trusts(
  { issuer: wanted, clientId }: Pick<OAuthConfig, 'issuer' | 'clientId'>,
  serverUrl: string,
  { issuer, value }: VaultRecord<Pick<TokenSet, 'serverUrl' | 'clientId'>>,
): boolean {
  return (
    URL.canParse(serverUrl) &&
    URL.canParse(value.serverUrl) &&
    new URL(value.serverUrl).origin === new URL(serverUrl).origin &&
    (issuer === '' ||
      ((wanted === undefined || isSameIssuer(wanted, issuer)) &&
        (clientId === undefined || clientId === value.clientId)))
  )
}
