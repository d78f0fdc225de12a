import type { IncomingMessage } from 'node:http'
import type { Principal } from '../core/principal.ts'

/** By what a caller was recognised, without the secret: what a reload looks up again. */
export type Evidence =
  | { readonly by: 'key'; readonly digest: string; readonly isStored: boolean }
  | { readonly by: 'certificate'; readonly name: string }
  | { readonly by: 'user'; readonly name: string }
  | {
      readonly by: 'token'
      readonly issuer: string
      readonly subject: string
      readonly scopes: readonly string[]
    }
  | { readonly by: 'nothing' }

/** What a caller has shown, and for how long it counts. One object for one key; sessions and streams remember it. */
export interface Credential {
  readonly principal: Principal
  /** Unix milliseconds; 0 from the moment it is withdrawn. */
  readonly expiresAt: number
  /** Whether the caller comes back with a newer one: then a session outlives this one, although its streams do not. */
  readonly renewable: boolean
  readonly evidence: Evidence
}

/** Who is calling over HTTP. Implemented in `auth/`; the fronts know no more of it than this. */
export interface Authenticator {
  /**
   * What the request shows, for an endpoint (`''`: all). At once for credentials that were shown on the same connection before, a promise only when
   * something has to be looked up.
   * @throws HttpRefusal 400, 401, 403, 503; also as a rejection
   */
  authenticate(request: IncomingMessage, endpoint: string): Credential | Promise<Credential>
  /**
   * Raw JSON of the protected-resource metadata (RFC 9728) for the path of an endpoint, such as `/mcp/search`; `''` is that of everything. `undefined` where
   * there is none.
   */
  resourceMetadata(request: IncomingMessage, path: string): string | undefined
  /** A sentence for clients that look for a login where there is none; `undefined` where there is one, or nothing is asked for. */
  readonly noLogin: string | undefined
  /** Requests come from now on. `origin` is the address they are sent to, unless configured otherwise; `undefined`: only another program knows it. */
  listensAt(origin: string | undefined): void
  /** The same credential of a caller under this configuration; `undefined`: it is none any more, or that of another identity. */
  renewed(credential: Credential): Credential | undefined
  close(): void
}

/** What counts no more, by now. */
export function isOver(credential: Credential, now: number): boolean {
  return credential.expiresAt <= now
}
