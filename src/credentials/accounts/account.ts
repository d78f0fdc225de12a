import { monotonicNow } from '../../core/clock.ts'
import { describeError, GatewayError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import type { Principal } from '../../core/principal.ts'
import type {
  CredentialRefusal,
  CredentialRequest,
  UpstreamCredentials,
} from '../../core/upstream-credentials.ts'
import { redact } from '../../observe/redact.ts'
import type { RecordName, VaultRecord } from '../../vault/vault.ts'
import { challengeIn, type ServerChallenge } from '../oauth/challenge.ts'
import { asksForNonce, DpopKey } from '../oauth/dpop-key.ts'
import { OAuthFailure } from '../oauth/failure.ts'
import { split, union } from '../oauth/scopes.ts'
import { renewalAt, usableUntil, type TokenSet } from '../oauth/token-set.ts'
import {
  accountError,
  asksForMore,
  asksInVain,
  refusesAccount,
  refusesGateway,
  needsLogin,
  needsScopes,
  refusesNewTokens,
  unauthorized,
} from './errors.ts'
import { renewed } from './renewal.ts'
import type { ServerLogin } from './server-login.ts'

type Tokens = VaultRecord<TokenSet>

export interface AccountOptions {
  readonly owner: string
  /** Whose account it is; `undefined`: that of the gateway. */
  readonly principal: Principal | undefined
  readonly logger: Logger
  /** Gets tokens without a person; `undefined` where a person logs in. */
  readonly grant: ((account: Account) => Promise<Tokens>) | undefined
}

const NONE: readonly string[] = []
/** How long a refusal is repeated without a request: calls may come many times a second. */
const PAUSE_MS = 3000
/** The same when new tokens do not help. */
const LONG_PAUSE_MS = 30_000
/** A token that is new, and that is refused so soon and not near its end, is not renewed again. */
const YOUNG_MS = 60_000
const MAX_STEP_UPS = 2

/**
 * The tokens of one owner at one server. They are kept in memory while they are fresh, in the vault for the other
 * processes and later starts, and renewed once for all of them. Without tokens, requests are sent as they are: a server
 * that needs a login says so.
 */
export class Account implements UpstreamCredentials {
  readonly owner: string
  readonly principal: Principal | undefined
  readonly #logger: Logger
  #grant: AccountOptions['grant']
  #login: ServerLogin
  #unfollow: () => void
  #tokens: Tokens | undefined
  #dpop: DpopKey | undefined
  #list: readonly string[] = NONE
  /** Unix milliseconds until which the list is sent without further ado. */
  #sentUntil = 0
  #renewAt = Infinity
  #isRead = false
  #busy: Promise<void> | undefined
  #refusal: { readonly error: GatewayError; readonly until: number } | undefined
  #renewedOnRefusal: { readonly accessToken: string; readonly at: number } | undefined
  #stepUps = 0
  #wanted: readonly string[] = []
  #asked: Partial<ServerChallenge> = {}
  #ended = false

  constructor(login: ServerLogin, { owner, principal, logger, grant }: AccountOptions) {
    this.#login = login
    this.owner = owner
    this.principal = principal
    this.#logger = logger
    this.#grant = grant
    this.#unfollow = this.#follow()
  }

  get login(): ServerLogin {
    return this.#login
  }

  get isEnded(): boolean {
    return this.#ended
  }

  /** What refusals have asked for: of each part, the last that was named. */
  get asked(): Partial<ServerChallenge> {
    return this.#asked
  }

  /** What was granted, and what the server has asked for since; `undefined` when it has not asked for more. */
  async wantedScope(): Promise<string | undefined> {
    if (this.#wanted.length === 0) return undefined
    if (!this.#isRead) await this.#read()
    return union(split(this.#tokens?.value.scope), this.#wanted).join(' ')
  }

  headers(request: CredentialRequest): readonly string[] | Promise<readonly string[]> {
    const now = Date.now()
    if (now >= this.#sentUntil) return this.#ready(request)
    if (now >= this.#renewAt) this.#renewBeside(now)
    return this.#dpop ? this.#withProof(this.#dpop, request) : this.#list
  }

  async refused(refusal: CredentialRefusal): Promise<true | GatewayError> {
    try {
      return refusal.status === 403 ? await this.#forbidden(refusal) : await this.#unauthorized(refusal)
    } catch (caught) {
      return this.#failed(caught)
    }
  }

  answered(headers: Readonly<Record<string, string | string[] | undefined>>): void {
    const nonce = headers['dpop-nonce']
    if (typeof nonce === 'string') this.#dpop?.noteNonce(this.#login.url, nonce)
  }

  /** Takes the tokens of a login that has just ended. */
  async save(issuer: string, value: TokenSet): Promise<void> {
    const { vault } = this.#login
    // A run of its own: a renewal that is under way here must not take them for what it has replaced.
    await vault.exclusively(this.#name, () => vault.write(this.#name, { issuer, value }))
    const granted = split(value.scope)
    const hasAll = this.#wanted.every(scope => granted.includes(scope))
    this.#stepUps = hasAll ? 0 : this.#stepUps + 1
    if (hasAll) this.#wanted = []
    if (value.refreshToken === undefined)
      this.#renewedOnRefusal = { accessToken: value.accessToken, at: monotonicNow() }
    this.#adopt({ issuer, value })
  }

  /** Goes on with another configuration. Tokens that belong to another place are not sent there. */
  reconfigure(login: ServerLogin, grant: AccountOptions['grant']): void {
    this.#unfollow()
    this.#login = login
    this.#grant = grant
    this.#asked = {}
    this.#wanted = []
    this.#adopt(undefined)
    this.#forget()
    this.#unfollow = this.#follow()
  }

  /** Sends nothing from now on. */
  end(): void {
    this.#ended = true
    this.#unfollow()
    this.#adopt(undefined)
  }

  get #name(): RecordName {
    return { kind: 'tokens', server: this.#login.server.name, owner: this.owner }
  }

  #follow(): () => void {
    return this.#grant ? () => undefined : this.#login.vault.onChanged(this.#name, () => this.#forget())
  }

  /** Another process, or a command, has changed the tokens: they are read before the next request. */
  #forget(): void {
    this.#isRead = false
    this.#sentUntil = 0
    this.#refusal = undefined
    if (this.#grant) this.#adopt(undefined)
  }

  async #ready(request: CredentialRequest): Promise<readonly string[]> {
    if (this.#refusal && this.#refusal.until > monotonicNow()) throw this.#refusal.error
    try {
      await this.#alone(() => this.#obtain())
    } catch (caught) {
      throw this.#failed(caught)
    }
    return this.#dpop ? this.#withProof(this.#dpop, request) : this.#list
  }

  /** One at a time in this process; those that come meanwhile have its outcome. */
  #alone(run: () => Promise<void>): Promise<void> {
    this.#busy ??= run().finally(() => (this.#busy = undefined))
    return this.#busy
  }

  async #obtain(): Promise<void> {
    if (this.#ended) return
    if (!this.#isRead) {
      try {
        await this.#read()
      } catch (caught) {
        if (this.#tokens || this.#grant) throw caught
        // The server may want no login. One that does refuses the request, and then the error is that of the store.
        return
      }
    }
    const tokens = this.#tokens
    if (!tokens && this.#grant) this.#adopt(await this.#grant(this))
    else if (!tokens) this.#adopt(undefined)
    else if (Date.now() >= this.#sentUntil) await this.#renew(tokens.value, false)
  }

  async #read(): Promise<void> {
    // A change during the reading counts.
    this.#isRead = true
    if (this.#grant) return
    try {
      this.#adopt(await this.#login.vault.read<TokenSet>(this.#name))
    } catch (caught) {
      this.#isRead = false
      throw caught
    }
  }

  #adopt(tokens: Tokens | undefined): void {
    const before = this.#tokens?.value
    this.#tokens = tokens && this.#login.trusts(tokens) ? tokens : undefined
    const value = this.#tokens?.value
    this.#sentUntil = value ? usableUntil(value) : this.#grant && !this.#ended ? 0 : Infinity
    this.#renewAt = value ? renewalAt(value) : Infinity
    if (value) this.#refusal = undefined
    if (value?.accessToken === before?.accessToken) return
    this.#dpop = value?.dpopKey && DpopKey.from(value.dpopKey)
    this.#list = value ? Object.freeze(['authorization', `${value.tokenType} ${value.accessToken}`]) : NONE
  }

  #withProof(dpop: DpopKey, { method, url }: CredentialRequest): readonly string[] {
    return [...this.#list, 'dpop', dpop.proof(method, url, this.#tokens?.value.accessToken)]
  }

  /** Renews a token that can still be sent. */
  #renewBeside(now: number): void {
    const value = this.#tokens?.value
    this.#renewAt = now + PAUSE_MS
    if (!value || this.#busy || (value.refreshToken === undefined && !this.#grant)) return
    this.#alone(() => this.#renew(value, false)).catch((caught: unknown) => {
      const fields = { server: this.#login.server.name, error: redact(describeError(caught)) }
      this.#logger.warn('a token could not be renewed before its end', fields)
    })
  }

  /** @param isRefused whether the server has refused the token, so that it cannot be sent until its end */
  async #renew(value: TokenSet, isRefused: boolean): Promise<void> {
    try {
      if (this.#grant) {
        this.#adopt(await this.#grant(this))
        this.#login.onRenewed(this.owner, isRefused ? 'refused' : 'due')
      } else this.#adopt(await renewed(this.#login, this.#name, value, isRefused))
    } catch (caught) {
      const { expiresAt = Infinity } = value
      if (isRefused || Date.now() >= expiresAt || this.#tokens?.value.accessToken !== value.accessToken)
        throw caught
      // It is good until its end.
      this.#sentUntil = Math.min(expiresAt, Date.now() + PAUSE_MS)
      this.#logDetail(caught)
    }
  }

  async #unauthorized({ wwwAuthenticate, sent }: CredentialRefusal): Promise<true | GatewayError> {
    const place = this.#login.placeOf(this.owner)
    if (this.#ended) return unauthorized(place.server, 'is no longer configured as it was', 'call it again')
    if (asksForNonce(wwwAuthenticate) && this.#dpop?.lacksNonce(this.#login.url, sent)) return true
    this.#note(challengeIn(wwwAuthenticate))
    this.#login.forgetDiscovered()
    if (await this.#hasOtherThan(sent)) return true
    if (!this.#tokens) return this.#pause(needsLogin(place), PAUSE_MS)
    const { issuer, value } = this.#tokens
    const before = this.#renewedOnRefusal
    const isNew = before?.accessToken === value.accessToken && monotonicNow() - before.at < YOUNG_MS
    const hasMoved = (): Promise<boolean> => this.#login.hasMovedFrom(issuer, this.#asked.resourceMetadata)
    if (isNew && Date.now() < usableUntil(value) && !(await hasMoved()))
      return this.#pause(refusesNewTokens(place), LONG_PAUSE_MS)
    // Another refusal of the same token may have begun the renewal.
    if (this.#busy) await this.#busy.catch(() => undefined)
    if (this.#tokens?.value.accessToken === value.accessToken)
      await this.#alone(() => this.#renew(value, true))
    const now = this.#tokens?.value
    if (!now)
      return this.#pause(needsLogin(place, 'needs a new login: its token is no longer valid'), PAUSE_MS)
    this.#renewedOnRefusal = { accessToken: now.accessToken, at: monotonicNow() }
    return true
  }

  /** Whether there are other tokens than those that were refused, in memory or in the vault. */
  async #hasOtherThan(sent: readonly string[]): Promise<boolean> {
    if (this.#busy) await this.#busy.catch(() => undefined)
    if (this.#tokens && !this.#wasSent(sent) && Date.now() < this.#sentUntil) return true
    if (this.#grant) {
      if (this.#tokens) return false
      await this.#alone(() => this.#obtain())
      return this.#tokens !== undefined
    }
    await this.#alone(() => this.#read())
    return this.#tokens !== undefined && !this.#wasSent(sent)
  }

  #wasSent(sent: readonly string[]): boolean {
    const at = sent.indexOf('authorization')
    return at >= 0 && sent[at + 1] === this.#list[1]
  }

  async #forbidden({ wwwAuthenticate, sent }: CredentialRefusal): Promise<true | GatewayError> {
    const { name } = this.#login.server
    const challenge = challengeIn(wwwAuthenticate)
    if (challenge.error !== 'insufficient_scope')
      return this.#tokens ? refusesAccount(name) : refusesGateway(name)
    this.#note(challenge)
    if (this.#tokens && !this.#wasSent(sent)) return true
    const value = this.#tokens?.value
    const granted = split(value?.scope)
    const asked = split(challenge.scope)
    if (asked.every(scope => granted.includes(scope))) return asksInVain(name)
    // Calls that wait for the same login count once; a login that does not give what was asked for counts, too.
    const isNew = !asked.every(scope => this.#wanted.includes(scope))
    if (this.#stepUps >= MAX_STEP_UPS + (isNew ? 0 : 1)) return asksForMore(this.#login.placeOf(this.owner))
    if (isNew || this.#grant) this.#stepUps++
    this.#wanted = union(this.#wanted, asked)
    if (this.#grant && value) {
      await this.#alone(() => this.#renew(value, true))
      return true
    }
    return needsScopes(this.#login.placeOf(this.owner), asked)
  }

  #note(challenge: ServerChallenge): void {
    const named = Object.entries(challenge).filter(([, value]) => value !== undefined)
    this.#asked = { ...this.#asked, ...Object.fromEntries(named) }
  }

  #pause(error: GatewayError, ms: number): GatewayError {
    this.#refusal = { error, until: monotonicNow() + ms }
    this.#sentUntil = 0
    return error
  }

  #failed(caught: unknown): GatewayError {
    if (this.#refusal && this.#refusal.error === caught) return this.#refusal.error
    this.#logDetail(caught)
    const error = accountError(this.#login.server.name, caught)
    return caught instanceof GatewayError ? error : this.#pause(error, PAUSE_MS)
  }

  /** What an authorization server says of a failure stands in the log alone. */
  #logDetail(caught: unknown): void {
    if (!(caught instanceof OAuthFailure)) return
    this.#logger.warn('the login at a server failed', {
      server: this.#login.server.name,
      error: caught.message,
      detail: caught.detail === undefined ? undefined : redact(caught.detail).slice(0, 500),
    })
  }
}
