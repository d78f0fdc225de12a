import type { JsonWebKey } from 'node:crypto'

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
  /** Unix milliseconds. */
  readonly obtainedAt: number
  /** Resource that the token is for (RFC 8707). */
  readonly resource: string | undefined
  /** Address of the server that the token is sent to. It is sent to no other origin. */
  readonly serverUrl: string
  readonly dpopKey?: JsonWebKey
}
