import { isLoopback } from '../core/loopback.ts'
import type { CryptoKey, FlattenedJWSInput, JSONWebKeySet, JWSHeaderParameters } from 'jose'
import { monotonicNow } from '../core/clock.ts'
import { describeError } from '../core/errors.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { Logger } from '../core/logger.ts'
import { identityUnavailable } from './challenge.ts'
import { fetchJson } from './fetch-json.ts'

/** Keys are fetched again after this time, while the old ones stay in use. */
const FRESH_MS = 10 * 60_000
/** After this time without contact, an issuer may have revoked its keys. */
const STALE_MS = 24 * 60 * 60_000
/** Minimum interval between fetches for unknown keys, because a token can name any key. */
const COOLDOWN_MS = 10_000

export interface IssuerKeysOptions {
  readonly issuer: string
  /** Address of the key set; `undefined`: discovered through the issuer's metadata. */
  readonly jwks: string | undefined
  readonly logger: Logger
  /** Default: over the network. */
  readonly fetch?: (address: string) => Promise<unknown>
  /** Default: `monotonicNow`. */
  readonly now?: () => number
}

type FindKey = (header: JWSHeaderParameters, token: FlattenedJWSInput) => Promise<CryptoKey>

/** The current public keys of one issuer. Key locations in a token are ignored. */
export class IssuerKeys {
  readonly #options: IssuerKeysOptions
  readonly #fetch: (address: string) => Promise<unknown>
  readonly #now: () => number
  #find: FindKey | undefined
  #fetchedAt = -Infinity
  #triedAt = -Infinity
  #fetching: Promise<void> | undefined

  constructor(options: IssuerKeysOptions) {
    this.#options = options
    this.#fetch = options.fetch ?? fetchJson
    this.#now = options.now ?? monotonicNow
  }

  /**
   * The key named by a token.
   * @throws HttpError 503 when the keys cannot be fetched and none are known; an error of `jose` when there is no such
   * key
   */
  readonly key: FindKey = async (header, token) => {
    const age = this.#now() - this.#fetchedAt
    if (this.#find === undefined || age > STALE_MS) await this.#renew()
    else if (age > FRESH_MS && this.#mayFetch()) void this.#renew().catch(() => undefined)
    const find = this.#find
    if (find === undefined || this.#now() - this.#fetchedAt > STALE_MS) throw this.#unavailable()
    try {
      return await find(header, token)
    } catch (error) {
      // It may be a new key, because issuers rotate keys at any time.
      if ((error as { code?: unknown }).code !== 'ERR_JWKS_NO_MATCHING_KEY' || !this.#mayFetch()) throw error
      await this.#renew()
      return await (this.#find ?? find)(header, token)
    }
  }

  #mayFetch(): boolean {
    return this.#fetching !== undefined || this.#now() - this.#triedAt >= COOLDOWN_MS
  }

  /** Fetches the keys; requests in the meantime share the fetch. */
  #renew(): Promise<void> {
    if (!this.#mayFetch()) return Promise.reject(this.#unavailable())
    this.#fetching ??= this.#load().finally(() => {
      this.#fetching = undefined
    })
    return this.#fetching
  }

  async #load(): Promise<void> {
    this.#triedAt = this.#now()
    const { issuer, logger } = this.#options
    try {
      const keys = await this.#fetch(this.#options.jwks ?? (await this.#discover()))
      const { createLocalJWKSet } = await import('jose')
      this.#find = createLocalJWKSet(keys as JSONWebKeySet)
      this.#fetchedAt = this.#now()
    } catch (error) {
      logger.warn('The keys of an issuer of tokens cannot be fetched.', {
        issuer,
        cause: describeError(error),
      })
      throw this.#unavailable()
    }
  }

  /** Address of the key set from RFC 8414 metadata or OpenID Connect discovery. */
  async #discover(): Promise<string> {
    const { issuer } = this.#options
    const { origin, pathname } = new URL(issuer)
    const path = pathname.replace(/\/$/, '')
    const addresses = new Set([
      `${origin}/.well-known/oauth-authorization-server${path}`,
      `${origin}${path}/.well-known/openid-configuration`,
      `${origin}/.well-known/openid-configuration${path}`,
    ])
    let failure: unknown
    for (const address of addresses) {
      try {
        const document = await this.#fetch(address)
        if (!isJsonObject(document) || document.issuer !== issuer)
          throw new Error(`${address} is of another issuer`)
        const { jwks_uri: jwks } = document
        if (typeof jwks !== 'string' || !isSafe(jwks))
          throw new Error(`${address} names no https address of keys`)
        return jwks
      } catch (error) {
        failure ??= error
      }
    }
    throw failure
  }

  #unavailable(): Error {
    return identityUnavailable(
      `The token cannot be checked: the keys of its issuer ${this.#options.issuer} cannot be fetched at the moment.`,
      Math.ceil(COOLDOWN_MS / 1000),
    )
  }
}

/** The same condition as for addresses in the configuration. */
function isSafe(address: string): boolean {
  if (!URL.canParse(address)) return false
  const { protocol, hostname } = new URL(address)
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname))
}
