import { monotonicNow } from '../core/clock.ts'
import { describeError } from '../core/errors.ts'
import { growingLru } from '../core/growing-lru.ts'
import type { Logger } from '../core/logger.ts'
import type { ClientConfig } from '../config/types.ts'
import type { Credential } from '../front/authenticator.ts'
import type { Store } from '../state/store.ts'
import { identityUnavailable } from './challenge.ts'
import { readAllKeys, readKeys, type StoredKey } from './key-records.ts'
import type { Principal } from '../core/principal.ts'
import { TokenBucket } from '../core/token-bucket.ts'
import type { Principals } from './principals.ts'

/** Maximum time for which a revoked key is still accepted. */
export const REREAD_MS = 5000
/** Every twelfth time all keys are read, rather than only those in use. */
const ALL_EVERY = 12
/** Rate limit for look-ups of unknown keys, so that guessing does not burden the store. */
const LOOK_UPS = { burst: 50, perSecond: 20 }
/** How long an unknown key is remembered as unknown. */
const UNKNOWN_MS = 2000
const MAX_UNKNOWN = 1000

/** A credential that can be revoked. */
interface KeyCredential extends Credential {
  expiresAt: number
}

export interface ApiKeysOptions {
  readonly clients: readonly ClientConfig[]
  readonly principals: Principals
  readonly store: Store
  readonly logger: Logger
}

/**
 * The valid API keys: those of the configuration, and those in the state store, where other processes may add and
 * revoke keys at any time. Keys are found by digest, so that secrets are never compared.
 */
export class ApiKeys {
  readonly #options: ApiKeysOptions
  readonly #configured = new Map<string, Credential>()
  readonly #stored = new Map<string, KeyCredential>()
  /** Digests of unknown keys, and until when they are remembered. */
  readonly #unknown = growingLru<string, number>(MAX_UNKNOWN)
  readonly #looking = new Map<string, Promise<Credential | undefined>>()
  #timer: NodeJS.Timeout | undefined
  #reading: Promise<void> | undefined
  #rereads = 0
  #failed = false
  #closed = false
  readonly #lookUps = new TokenBucket(LOOK_UPS)

  constructor(options: ApiKeysOptions) {
    this.#options = options
    for (const { name, keys } of options.clients) {
      const principal = options.principals.client(name)
      if (!principal) continue
      for (const digest of keys)
        this.#configured.set(digest, {
          principal,
          expiresAt: Infinity,
          renewable: false,
          evidence: { by: 'key', digest, isStored: false },
        })
    }
    if (options.clients.length === 0) return
    this.#timer = setInterval(() => void this.reread(), REREAD_MS)
    this.#timer.unref()
  }

  /**
   * The credential of a key that is already known, or part of the configuration.
   * @param digest SHA-256 of the key
   */
  known(digest: string): Credential | undefined {
    const credential = this.#configured.get(digest) ?? this.#stored.get(digest)
    return credential !== undefined && credential.expiresAt > Date.now() ? credential : undefined
  }

  /**
   * Accepts a key that was found in the store under the previous configuration, until the keys in use are read again.
   */
  adopt(digest: string, { principal: { client }, expiresAt }: Credential): Credential | undefined {
    const principal = client === undefined ? undefined : this.#options.principals.client(client)
    return principal && expiresAt > Date.now() ? this.#keep(digest, principal, expiresAt) : undefined
  }

  /** Adopts all keys in use under the previous configuration, so that they count while the store is unavailable. */
  adoptAll(former: ApiKeys): void {
    for (const [digest, credential] of former.#stored) this.adopt(digest, credential)
  }

  /**
   * Looks up an unknown key in the state store.
   * @throws HttpError 503 when that is not possible now
   */
  lookUp(digest: string): Promise<Credential | undefined> {
    const looking = this.#looking.get(digest)
    if (looking) return looking
    if ((this.#unknown.get(digest) ?? 0) > monotonicNow()) return Promise.resolve(undefined)
    if (!this.#lookUps.tryTake(monotonicNow()))
      return Promise.reject(
        identityUnavailable('Too many unknown keys are being tried; try again in a moment.', 1),
      )
    const search = this.#lookUp(digest).finally(() => this.#looking.delete(digest))
    this.#looking.set(digest, search)
    return search
  }

  /** Reads the keys in use again; the first time and periodically all keys. Never rejects. */
  reread(): Promise<void> {
    this.#reading ??= this.#reread().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
  }

  async #lookUp(digest: string): Promise<Credential | undefined> {
    let key: StoredKey | undefined
    try {
      ;[key] = await readKeys(this.#options.store, [digest])
    } catch (error) {
      this.#options.logger.warn('A key could not be looked up.', { cause: describeError(error) })
      throw identityUnavailable('The key cannot be checked at the moment; try again in a moment.', 5)
    }
    const credential = key && this.#take(key)
    if (!credential) this.#unknown.set(digest, monotonicNow() + UNKNOWN_MS)
    return credential
  }

  async #reread(): Promise<void> {
    const all = this.#rereads++ % ALL_EVERY === 0
    const known = [...this.#stored.keys()]
    let live: StoredKey[]
    try {
      live = all
        ? await readAllKeys(this.#options.store)
        : (await readKeys(this.#options.store, known)).filter(key => key !== undefined)
    } catch (error) {
      // Known keys stay valid, because an unavailable store must not lock out all clients.
      if (!this.#failed && !this.#closed)
        this.#options.logger.warn('API keys could not be read again; revoked ones may still be accepted.', {
          cause: describeError(error),
        })
      this.#failed = true
      return
    }
    this.#failed = false
    const found = new Set(live.filter(key => this.#take(key)).map(({ digest }) => digest))
    for (const digest of known) if (!found.has(digest)) this.#withdraw(digest)
  }

  /** The credential of a stored key, always the same object; `undefined` when its client is not configured. */
  #take({ digest, client, expires }: StoredKey): Credential | undefined {
    const principal = this.#options.principals.client(client)
    const expiresAt = expires ?? Infinity
    if (!principal || expiresAt <= Date.now()) return undefined
    const known = this.#stored.get(digest)
    if (known?.principal === principal && known.expiresAt === expiresAt) return known
    this.#withdraw(digest)
    return this.#keep(digest, principal, expiresAt)
  }

  #keep(digest: string, principal: Principal, expiresAt: number): Credential {
    const evidence = { by: 'key', digest, isStored: true } as const
    const credential = { principal, expiresAt, renewable: false, evidence }
    this.#stored.set(digest, credential)
    return credential
  }

  #withdraw(digest: string): void {
    const credential = this.#stored.get(digest)
    if (credential) credential.expiresAt = 0
    this.#stored.delete(digest)
  }
}
