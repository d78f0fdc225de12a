import type { ServerConfig } from '../../config/types.ts'
import type { Registration } from './registration.ts'

/** A login that a person can carry out by visiting `url`. */
export interface AuthorizationRequest {
  readonly url: string
  readonly pending: PendingAuthorization
}

/** What is needed to finish a login. JSON; the verifier is a secret. */
export interface PendingAuthorization {
  readonly server: string
  readonly owner: string
  /** Address of the server that the login is for. Its tokens are for no other origin. */
  readonly serverUrl: string
  readonly state: string
  /** PKCE. */
  readonly verifier: string
  readonly redirectUri: string
  readonly issuer: string
  readonly clientId: string
  /** The registration that the gateway made; `undefined`: the configuration has what is needed. */
  readonly registration?: Registration
  readonly tokenEndpoint: string
  readonly resource: string | undefined
  readonly scope: string | undefined
  /** Unix milliseconds. */
  readonly startedAt: number
  /** Whether the authorization server names itself in the callback (RFC 9207). */
  readonly expectsIssuer?: boolean
  /** Whether the tokens are bound to a key of the gateway (DPoP). */
  readonly bindsTokens?: boolean
}

/** Carries out the part of a login that is between the gateway and the authorization server. */
export interface Authorizer {
  begin(server: ServerConfig, owner: string, redirectUri: string): Promise<AuthorizationRequest>
  /**
   * Checks `state` and `iss`, redeems the code, saves the tokens and wakes the account. Rejects with one sentence that
   * can be shown.
   */
  finish(pending: PendingAuthorization, callback: URLSearchParams): Promise<void>
  /**
   * A login by a code that is typed in on another device (RFC 8628), where the authorization server has it. Once
   * `signal` is aborted, nothing is asked for and saved any more.
   */
  beginDevice?(server: ServerConfig, owner: string, signal: AbortSignal): Promise<DeviceRequest>
}

export interface DeviceRequest {
  readonly verificationUri: string
  readonly userCode: string
  /** How long the code can be entered. */
  readonly expiresInSeconds: number
  readonly done: Promise<void>
}
