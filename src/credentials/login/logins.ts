import type { ServerConfig } from '../../config/types.ts'
import { CLOCK, monotonicNow } from '../../core/clock.ts'
import { describeError, GatewayError } from '../../core/errors.ts'
import type { EventSink } from '../../core/event-bus.ts'
import type { Logger } from '../../core/logger.ts'
import type { PageAnswer } from '../../core/page.ts'
import type { Vault } from '../../vault/vault.ts'
import type { Authorizer } from '../oauth/authorization.ts'
import type { TokenSet } from '../oauth/token-set.ts'
import { loginSettingsOf } from '../login-settings.ts'
import { finishCallback, type Callback } from './callback.ts'
import { loginErrorOf, loginFailure } from './login-errors.ts'
import { LoginRecords, loginIdOf } from './login-records.ts'
import { loginAbout } from './login-about.ts'
import { LoopbackListeners } from './loopback-listeners.ts'
import { LoginUnderWay, type LoginOutcome, type PendingLogin } from './pending-login.ts'
import { LOGIN_PATH, Redirects } from './redirects.ts'
import { IN_CALLS, type LoginWording } from './wording.ts'

export interface LoginsOptions {
  readonly authorizer: Authorizer
  readonly vault: Vault
  readonly events: EventSink
  readonly logger: Logger
  /** As `RedirectsOptions.hosted`. */
  readonly hosted: () => string | undefined
  /** Called after each login, wherever it was completed. */
  readonly onLoggedIn?: (server: string, owner: string) => void
  /** How long a person may take. */
  readonly lifeMs?: number
  /** Default: that of logins in calls. */
  readonly wording?: LoginWording
}

const LIFE_MS = 10 * 60_000
/** Maximum number of logins at once, in all and of one owner. */
const MAX_LOGINS = 1000
const MAX_PER_OWNER = 100
/** How long a login that could not begin is not tried again: calls may come many times a second. */
const PAUSE_MS = 3000

interface Failed {
  readonly error: GatewayError
  readonly until: number
}

/**
 * The logins under way: one for each server and owner, which all calls that need it join. A login ends with the
 * callback of its browser, here or at another node that shares the vault; or when another process has logged in.
 */
export class Logins {
  readonly #options: LoginsOptions
  readonly #wording: LoginWording
  readonly #records: LoginRecords
  readonly #listeners: LoopbackListeners
  readonly #redirects: Redirects
  readonly #underWay = new Map<string, LoginUnderWay>()
  readonly #failed = new Map<string, Failed>()
  readonly #callbacks = new Set<{ readonly key: string; readonly done: Promise<unknown> }>()
  #closed = false

  constructor(options: LoginsOptions) {
    const { vault, hosted, wording = IN_CALLS } = options
    this.#options = options
    this.#wording = wording
    this.#records = new LoginRecords(vault)
    this.#listeners = new LoopbackListeners(query => this.callback({ query, browser: undefined }))
    this.#redirects = new Redirects({ listeners: this.#listeners, records: this.#records, hosted })
  }

  /** Number of logins under way. */
  get size(): number {
    return this.#underWay.size
  }

  get records(): LoginRecords {
    return this.#records
  }

  /**
   * The login of this server and owner that is under way, or a new one. `device`: the person enters a code on another
   * device.
   * @throws GatewayError `needs_login` when it cannot begin, `overloaded`, `shutting_down`
   */
  async begin(server: ServerConfig, owner: string, device = deviceWanted(server)): Promise<PendingLogin> {
    const key = keyOf(server.name, owner)
    const known = this.#underWay.get(key)
    if (known) return await known.ready
    if (this.#closed) throw shuttingDown(server.name)
    const failed = this.#failed.get(key)
    if (failed && failed.until > monotonicNow()) throw failed.error
    this.#failed.delete(key)
    this.#checkRoom(server.name, owner)
    const login = new LoginUnderWay(
      server.name,
      owner,
      loginSettingsOf(server),
      this.#wording.retry,
      begun => (device ? this.#beginDevice(server, begun) : this.#beginCode(server, begun)),
      (ended, outcome) => this.#ended(ended, outcome),
    )
    this.#underWay.set(key, login)
    try {
      return await login.ready
    } catch (caught) {
      const error = GatewayError.from(caught)
      const cause = describeError(error)
      this.#options.logger.warn('A login could not begin.', { server: server.name, owner, cause })
      this.#pause(key, error)
      throw error
    }
  }

  /** A browser has come back, or a person has pasted the address that it came to. Never rejects. */
  async callback(callback: Callback): Promise<PageAnswer> {
    const { authorizer, logger } = this.#options
    let login: LoginUnderWay | undefined
    const finishing = finishCallback(callback, {
      records: this.#records,
      authorizer,
      logger,
      wording: this.#wording,
      onTaken: id => {
        login = [...this.#underWay.values()].find(each => each.id === id)
        if (!login) return
        login.isFinishing = true
        const { server, owner } = login
        const callback = { key: keyOf(server, owner), done: finishing }
        this.#callbacks.add(callback)
        void finishing.then(() => this.#callbacks.delete(callback))
      },
    })
    const { page, error } = await finishing
    const taken = login
    // The page of the login leaves before its listener ends.
    if (taken) setImmediate(() => (error ? taken.fail('failed', error) : taken.succeed()))
    return page
  }

  /** Resolves when no callback of a login of this owner is under way here. */
  async callbacksDone(server: string, owner: string): Promise<void> {
    const key = keyOf(server, owner)
    await Promise.all([...this.#callbacks].filter(callback => callback.key === key).map(({ done }) => done))
  }

  /** Ends the logins of a server, whose waiting calls fail: it was logged out. */
  abandon(server: string, owner?: string): void {
    for (const login of this.#underWay.values())
      if (login.server === server && (owner === undefined || login.owner === owner))
        login.fail('abandoned', this.#endedError(server))
  }

  /** Ends the logins of servers that other settings make another place. */
  reconfigure(servers: readonly ServerConfig[]): void {
    const settings = new Map(servers.map(server => [server.name, loginSettingsOf(server)]))
    for (const login of this.#underWay.values())
      if (settings.get(login.server) !== login.settings)
        login.fail('abandoned', this.#endedError(login.server, ': its configuration has changed'))
  }

  close(): void {
    this.#closed = true
    for (const login of this.#underWay.values()) login.fail('abandoned', shuttingDown(login.server))
    this.#listeners.close()
  }

  async #beginCode(server: ServerConfig, login: LoginUnderWay): Promise<Omit<PendingLogin, 'done'>> {
    const { authorizer, lifeMs = LIFE_MS } = this.#options
    const { owner } = login
    const redirect = await this.#redirects.open(server)
    login.holds(redirect.release)
    const { url, pending } = await authorizer.begin(server, owner, redirect.uri)
    checkAddress(url, server.name)
    const id = loginIdOf(pending.state)
    const hosted = redirect.hosted !== undefined
    const expiresAt = Date.now() + lifeMs
    const about = loginAbout(server, owner, url)
    login.loginBefore = await this.#loginOf(server.name, owner)
    await this.#records.put(id, {
      server: server.name,
      owner,
      about,
      url,
      pending,
      expiresAt,
      stage: 'begun',
      hosted,
    })
    login.id = id
    if (login.isOver) {
      await this.#removeUnused(id)
      throw this.#endedError(server.name)
    }
    this.#follow(login, id)
    // Nothing comes back to this process any more.
    if (!hosted) login.holds(() => void this.#removeUnused(id))
    this.#tellBegun(login)
    return { url: hosted ? redirect.hosted + LOGIN_PATH + id : url, expiresAt }
  }

  async #beginDevice(server: ServerConfig, login: LoginUnderWay): Promise<Omit<PendingLogin, 'done'>> {
    const { authorizer, lifeMs = LIFE_MS } = this.#options
    if (!authorizer.beginDevice)
      throw loginFailure(
        server.name,
        `Server "${server.name}" needs a login, and this gateway cannot log in by a code.`,
      )
    const ending = new AbortController()
    login.holds(() => ending.abort(this.#endedError(server.name)))
    const { verificationUri, userCode, expiresInSeconds, done } = await authorizer.beginDevice(
      server,
      login.owner,
      ending.signal,
    )
    done.then(
      () => login.succeed(),
      (caught: unknown) => login.fail('failed', loginErrorOf(caught, server.name)),
    )
    checkAddress(verificationUri, server.name)
    this.#tellBegun(login)
    const expiresAt = Date.now() + Math.min(lifeMs, expiresInSeconds * 1000)
    return { url: verificationUri, code: userCode, expiresAt }
  }

  #tellBegun({ server, owner }: LoginUnderWay): void {
    const { events, logger } = this.#options
    logger.info('A login was begun.', { server, owner })
    if (events.heard['credential.login_began'])
      events.emit({ type: 'credential.login_began', time: CLOCK.wall(), server, owner })
  }

  #ended(login: LoginUnderWay, outcome: LoginOutcome): void {
    const { server, owner } = login
    const { events, logger, onLoggedIn } = this.#options
    this.#underWay.delete(keyOf(server, owner))
    // Its link is in the hands of people. When the gateway shuts down, another one may complete it.
    if (outcome === 'abandoned' && !this.#closed && login.id !== undefined) void this.#removeUnused(login.id)
    logger.info('A login has ended.', { server, owner, outcome })
    if (events.heard['credential.login_ended'])
      events.emit({
        type: 'credential.login_ended',
        time: CLOCK.wall(),
        server,
        owner,
        outcome,
        durationMs: performance.now() - login.startedAt,
      })
    if (outcome === 'done') onLoggedIn?.(server, owner)
  }

  /** Follows what other processes do: they may complete the login, or log in by another one. */
  #follow(login: LoginUnderWay, id: string): void {
    const { vault } = this.#options
    const { server, owner } = login
    const look = (): void => void this.#look(login, id)
    login.holds(this.#records.onChanged(id, look))
    login.holds(vault.onChanged({ kind: 'tokens', server, owner }, look))
  }

  async #look(login: LoginUnderWay, id: string): Promise<void> {
    // What this process completes, it ends itself.
    if (login.isFinishing) return
    try {
      const record = await this.#records.get(id)
      if (login.isFinishing) return
      if (record?.stage === 'failed')
        return login.fail('failed', loginFailure(login.server, record.reason ?? ''))
      if (record?.stage === 'done') return login.succeed()
      const other = await this.#loginOf(login.server, login.owner)
      if (other !== undefined && other !== login.loginBefore && !login.isFinishing) login.succeed()
    } catch (error) {
      this.#options.logger.debug('A login could not be looked up in the state store.', {
        server: login.server,
        cause: describeError(error),
      })
    }
  }

  /** What tells the login of an owner from others of the same owner. A renewal is no login. */
  async #loginOf(server: string, owner: string): Promise<string | undefined> {
    const record = await this.#options.vault.read<TokenSet>({ kind: 'tokens', server, owner })
    return record && String(record.value.loggedInAt ?? record.value.obtainedAt)
  }

  async #removeUnused(id: string): Promise<void> {
    try {
      if ((await this.#records.get(id))?.stage === 'begun') await this.#records.remove(id)
    } catch {
      // It ends by itself.
    }
  }

  #endedError(server: string, why = ''): GatewayError {
    return loginFailure(server, `The login to server "${server}" was ended${why}. ${this.#wording.retry}`)
  }

  #checkRoom(server: string, owner: string): void {
    let own = 0
    for (const login of this.#underWay.values()) if (login.owner === owner) own++
    if (this.#underWay.size < MAX_LOGINS && own < MAX_PER_OWNER) return
    throw new GatewayError(
      'overloaded',
      `Too many logins wait for people. Complete one of them, or call server "${server}" again in ten minutes.`,
      { server },
    )
  }

  #pause(key: string, error: GatewayError): void {
    const now = monotonicNow()
    for (const [other, { until }] of this.#failed) if (until <= now) this.#failed.delete(other)
    if (this.#failed.size < MAX_LOGINS) this.#failed.set(key, { error, until: now + PAUSE_MS })
  }
}

function keyOf(server: string, owner: string): string {
  return `${server}\n${owner}`
}

function deviceWanted({ oauth }: ServerConfig): boolean {
  return oauth !== false && oauth.grant === 'device'
}

/** People are sent to web pages only: other schemes start programs. */
function checkAddress(url: string, server: string): void {
  const { protocol } = new URL(url)
  if (protocol === 'https:' || protocol === 'http:') return
  throw loginFailure(
    server,
    `The authorization server of "${server}" names an address for the login that is no web page (${protocol.slice(0, 20)}). The gateway does not use it.`,
  )
}

function shuttingDown(server: string): GatewayError {
  return new GatewayError('shutting_down', 'The gateway is shutting down.', { server })
}
