import { growingLru } from '../../../core/growing-lru.ts'
import { monotonicNow } from '../../../core/clock.ts'
import type { ClientAuthentication } from '../client-authentication.ts'
import { OAuthFailure } from '../failure.ts'
import type { GrantContext } from '../grant.ts'
import { findIssuer } from '../issuer-metadata.ts'
import { aboutGrant } from './granted.ts'

/** Fetches on behalf of an address of the configuration. */
export type FetchFor = (configuredUrl: string) => GrantContext['fetch']

/** Where an identity provider exchanges tokens, and how the gateway authenticates there. */
export interface IdentityProvider {
  readonly tokenEndpoint: string
  readonly client: ClientAuthentication
  readonly fetch: GrantContext['fetch']
}

interface Found {
  readonly tokenEndpoint: string
  readonly supported: readonly string[] | undefined
}

const BELIEVED_MS = 10 * 60_000
const MAX_ISSUERS = 100

/** The identity providers of `oauth.idp`, with their metadata as long as it is believed. */
export class IdentityProviders {
  readonly #fetchFor: FetchFor
  readonly #found = growingLru<string, Found & { readonly until: number }>(MAX_ISSUERS)

  constructor(fetchFor: FetchFor) {
    this.#fetchFor = fetchFor
  }

  /** @returns `undefined` where the configuration names no identity provider. @throws OAuthFailure */
  async of(context: GrantContext): Promise<IdentityProvider | undefined> {
    const { idp } = context.oauth
    const configured = idp?.tokenEndpoint ?? idp?.issuer
    if (idp === undefined || configured === undefined) return undefined
    const fetch = this.#fetchFor(configured)
    const { tokenEndpoint, supported } =
      idp.tokenEndpoint === undefined
        ? await this.#discover(configured, fetch, context)
        : { tokenEndpoint: idp.tokenEndpoint, supported: undefined }
    return {
      tokenEndpoint,
      fetch,
      client: {
        key: 'oauth.idp',
        clientId: idp.clientId ?? context.registration.clientId,
        clientSecret: idp.clientSecret,
        method: idp.clientSecret === undefined ? 'none' : undefined,
        // What is not said is what the clients of such providers do.
        supported: supported ?? ['client_secret_post'],
        audience: idp.issuer ?? tokenEndpoint,
      },
    }
  }

  async #discover(issuer: string, fetch: GrantContext['fetch'], context: GrantContext): Promise<Found> {
    const known = this.#found.get(issuer)
    if (known !== undefined && known.until > monotonicNow()) return known
    const { metadata, failure } = await findIssuer(issuer, {
      fetch,
      signal: context.signal,
      wanted: 'token_endpoint',
    })
    if (metadata?.token_endpoint !== undefined) {
      const { token_endpoint: tokenEndpoint, token_endpoint_auth_methods_supported: supported } = metadata
      const found = { tokenEndpoint, supported, until: monotonicNow() + BELIEVED_MS }
      this.#found.set(issuer, found)
      return found
    }
    const said = failure instanceof Error && failure.name === 'FetchError' ? ` ${failure.message}` : ''
    const message = `${aboutGrant(context)} found no metadata of the identity provider ${new URL(issuer).host} with that issuer.${said} Fix: check oauth.idp.issuer, or set oauth.idp.tokenEndpoint.`
    throw new OAuthFailure(message, { cause: failure, isTransient: failure !== undefined })
  }
}
