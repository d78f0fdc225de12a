import type { OAuthConfig, ServerConfig } from '../../config/types.ts'
import { monotonicNow } from '../../core/clock.ts'
import type { CredentialRenewed } from '../../core/events.ts'
import type { Principal } from '../../core/principal.ts'
import { signalWithin } from '../../core/signal-within.ts'
import type { Vault, VaultRecord } from '../../vault/vault.ts'
import type { GuardedFetch } from '../fetch/guarded-fetch.ts'
import { serverUrlOf } from '../login-settings.ts'
import { discover, knownMetadata, resourceOf, type Discovered } from '../oauth/discovery.ts'
import { DPOP_ALGORITHM, type DpopKey } from '../oauth/dpop-key.ts'
import type { GrantContext } from '../oauth/grant.ts'
import { isSameIssuer } from '../oauth/issuer.ts'
import type { AuthorizationServerMetadata } from '../oauth/metadata.ts'
import type { Registration } from '../oauth/registration.ts'
import { checkSecretIssuer } from '../oauth/secret-issuer.ts'
import { trusts, type TokenSet } from '../oauth/token-set.ts'
import type { LoginPlace } from './errors.ts'

/** How long what was discovered is believed. A refusal of the server ends it early. */
const BELIEVED_MS = 10 * 60_000
/** Longest time for one step of a login, with all requests that belong to it. */
const STEP_MS = 45_000

export interface ServerLoginOptions {
  readonly server: ServerConfig
  readonly oauth: OAuthConfig
  readonly fetch: GuardedFetch
  readonly vault: Vault
  /** Hears of each renewal by this process. */
  readonly onRenewed: (owner: string, cause: CredentialRenewed['cause']) => void
}

/** What all logins at one server have in common: where its authorization server is, and what it says of itself. */
export class ServerLogin {
  readonly server: ServerConfig
  readonly oauth: OAuthConfig
  readonly fetch: GuardedFetch
  readonly vault: Vault
  readonly onRenewed: ServerLoginOptions['onRenewed']
  readonly url: string
  readonly #ending = new AbortController()
  /** Authorization server that the secrets of the configuration are for, once it is known. */
  #secretIssuer: string | undefined
  #found:
    | { readonly hint: string | undefined; readonly until: number; readonly what: Promise<Discovered> }
    | undefined
  readonly #issuers = new Map<
    string,
    { readonly until: number; readonly what: Promise<AuthorizationServerMetadata> }
  >()

  constructor({ server, oauth, fetch, vault, onRenewed }: ServerLoginOptions) {
    this.server = server
    this.oauth = oauth
    this.fetch = fetch
    this.vault = vault
    this.onRenewed = onRenewed
    this.url = serverUrlOf(server)
  }

  /** For the requests of one step. */
  get signal(): AbortSignal {
    return signalWithin(this.#ending.signal, STEP_MS)
  }

  /** For what a person takes time for. */
  get ended(): AbortSignal {
    return this.#ending.signal
  }

  end(): void {
    this.#ending.abort(new Error(`The server "${this.server.name}" was changed or removed.`))
  }

  /** Whether the server names another authorization server than the one that has granted its tokens. */
  async hasMovedFrom(issuer: string, hint: string | undefined): Promise<boolean> {
    const found = await this.discover(hint).catch(() => undefined)
    return found !== undefined && issuer !== '' && !isSameIssuer(found.metadata.issuer, issuer)
  }

  /** @param hint `resource_metadata` of the last refusal */
  discover(hint: string | undefined): Promise<Discovered> {
    const known = this.#found
    if (known && known.hint === hint && known.until > monotonicNow()) return known.what
    const { server, oauth, fetch, url } = this
    const what = discover({
      server: server.name,
      serverUrl: url,
      issuer: oauth.issuer,
      resourceMetadataUrl: hint,
      fetch,
      signal: this.signal,
    })
    const found = { hint, until: monotonicNow() + BELIEVED_MS, what }
    this.#found = found
    what.catch(() => {
      if (this.#found === found) this.#found = undefined
    })
    return what
  }

  /** @throws OAuthFailure where the secrets of the configuration are for another authorization server */
  async checkIssuer({ metadata: { issuer } }: Discovered): Promise<void> {
    if (this.#secretIssuer === issuer) return
    const { server, oauth, vault, url: serverUrl } = this
    await checkSecretIssuer(issuer, { server: server.name, serverUrl, oauth, vault })
    this.#secretIssuer = issuer
  }

  /** A refusal may mean that the authorization server has moved. */
  forgetDiscovered(): void {
    this.#found = undefined
  }

  /** The metadata of an issuer that has granted tokens before. */
  issuer(issuer: string): Promise<AuthorizationServerMetadata> {
    const known = this.#issuers.get(issuer)
    if (known && known.until > monotonicNow()) return known.what
    const what = this.#metadataOf(issuer)
    const found = { until: monotonicNow() + BELIEVED_MS, what }
    this.#issuers.clear()
    this.#issuers.set(issuer, found)
    what.catch(() => {
      if (this.#issuers.get(issuer) === found) this.#issuers.delete(issuer)
    })
    return what
  }

  async #metadataOf(issuer: string): Promise<AuthorizationServerMetadata> {
    const { server, fetch, url: serverUrl } = this
    const found = await this.#found?.what.catch(() => undefined)
    if (found && isSameIssuer(found.metadata.issuer, issuer)) return found.metadata
    return await knownMetadata(issuer, { server: server.name, serverUrl, fetch, signal: this.signal })
  }

  resource(found: Discovered): string | undefined {
    return resourceOf(this.oauth.resource, { server: this.server.name, serverUrl: this.url }, found.resource)
  }

  /**
   * Whether tokens are bound to a key of the gateway. That an authorization server could bind them is no reason: the
   * server may take bearer tokens alone.
   * @param takesProof whether the last challenge of the server did
   */
  bindsTokens({ metadata, resource }: Discovered, takesProof = false): boolean {
    const algorithms = metadata.dpop_signing_alg_values_supported ?? [DPOP_ALGORITHM]
    return (
      this.oauth.dpop ??
      resource?.dpop_bound_access_tokens_required ??
      (takesProof && algorithms.includes(DPOP_ALGORITHM))
    )
  }

  /** What messages say of a login that is missing. */
  placeOf(owner: string): LoginPlace {
    return { server: this.server.name, owner, isShared: this.vault.isShared }
  }

  /** As `trusts`, of the configuration of this server. */
  trusts(record: VaultRecord<Pick<TokenSet, 'serverUrl' | 'clientId'>>): boolean {
    return trusts(this.oauth, this.url, record)
  }

  context(parts: {
    readonly metadata: AuthorizationServerMetadata
    readonly registration: Registration
    readonly resource: string | undefined
    readonly scopes?: readonly string[] | undefined
    readonly principal?: Principal | undefined
    readonly dpop?: DpopKey | undefined
  }): GrantContext {
    const { server, oauth, fetch, signal } = this
    return { principal: undefined, scopes: undefined, ...parts, server, oauth, fetch, signal }
  }
}
