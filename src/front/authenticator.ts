import type { IncomingMessage } from 'node:http'
import type { Principal } from '../core/principal.ts'

/**
 * How a caller was recognised, without the secret. A reload looks the caller up again by it. It has everything of the
 * credential that a configuration decides by.
 */
export type Evidence =
  | { readonly by: 'key'; readonly digest: string; readonly isStored: boolean }
  | { readonly by: 'certificate'; readonly name: string }
  | {
      readonly by: 'user'
      readonly name: string
      /** In lower case. */
      readonly header: string
      /** Of the proxy. */
      readonly address: string
    }
  | {
      readonly by: 'token'
      readonly issuer: string
      readonly subject: string
      readonly scopes: readonly string[]
      readonly audiences: readonly string[]
      readonly algorithm: string
      /** Configured address of the key set that the signature was verified with. */
      readonly jwks: string | undefined
      /** Unix milliseconds, without the tolerance for clocks. */
      readonly expiresAt: number
    }
  /** Several credentials of one identity, each of which has to stay valid. */
  | { readonly by: 'all'; readonly of: readonly Credential[] }
  | { readonly by: 'nothing' }

/** The credential of a caller, and its expiry. One object for each key. Sessions and streams keep a reference to it. */
export interface Credential {
  readonly principal: Principal
  /** Unix milliseconds. 0 from the moment of revocation. */
  readonly expiresAt: number
  /**
   * Whether the caller can renew it, as with an access token. A session then outlives this credential, although its
   * streams do not.
   */
  readonly renewable: boolean
  readonly evidence: Evidence
}

/** Identifies callers over HTTP. Implemented in `auth/`; the fronts depend on this interface only. */
export interface Authenticator {
  /**
   * The credential of a request for an endpoint (`''`: all servers). Returned at once for credentials seen before on
   * the same connection, as a promise only if a look-up is needed.
   * @throws HttpError 400, 401, 403, 503; also as a rejection
   */
  authenticate(request: IncomingMessage, endpoint: string): Credential | Promise<Credential>
  /**
   * Raw JSON of the protected-resource metadata (RFC 9728) for the path of an endpoint, such as `/mcp/search`; `''` is
   * the path of all servers. `undefined`: there is none.
   */
  resourceMetadata(request: IncomingMessage, path: string): string | undefined
  /**
   * Explanation for clients that look for a login where there is none. `undefined` where there is a login, or no
   * credential is required.
   */
  readonly noLogin: string | undefined
  /**
   * Called when the front listens. `origin` is its address, used unless another is configured. `undefined`: only the
   * embedding program has the address.
   */
  listensAt(origin: string | undefined): void
  /**
   * The same credential under this configuration, for an endpoint. `undefined`: it is not valid there any more, or
   * belongs to another identity.
   */
  renewed(credential: Credential, endpoint: string): Credential | undefined
  close(): void
}

/** Whether a credential has expired or been revoked. */
export function isOver(credential: Credential, now: number): boolean {
  return credential.expiresAt <= now
}
