import type { OAuthConfig, ServerConfig } from '../../config/types.ts'
import type { Principal } from '../../core/principal.ts'
import type { DpopKey } from './dpop-key.ts'
import type { AuthorizationServerMetadata } from './metadata.ts'
import type { Registration } from './registration.ts'
import type { TokenSet } from './token-set.ts'

/** What a grant without a person works with. */
export interface GrantContext {
  readonly server: ServerConfig
  readonly oauth: OAuthConfig
  /** The caller; `undefined`: the gateway itself. */
  readonly principal: Principal | undefined
  readonly metadata: AuthorizationServerMetadata
  readonly registration: Registration
  readonly resource: string | undefined
  readonly scopes: readonly string[] | undefined
  /** Key of the account; `undefined`: tokens are not bound to one. */
  readonly dpop?: DpopKey | undefined
  /** Token with which the caller has logged in at the gateway. It is shown to `oauth.idp` only. */
  readonly callerToken?: string | undefined
  readonly fetch: (url: string | URL, init?: RequestInit) => Promise<Response>
  readonly signal: AbortSignal
}

/** Gets tokens without a person. Rejects with an `OAuthFailure`. */
export type Grant = (context: GrantContext) => Promise<TokenSet>
