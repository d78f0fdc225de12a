import type { ServerConfig } from '../../config/types.ts'
import { CLOCK } from '../../core/clock.ts'
import type { EventSink } from '../../core/event-bus.ts'
import type { CredentialRenewed } from '../../core/events.ts'
import type { Logger } from '../../core/logger.ts'
import type { Principal } from '../../core/principal.ts'
import type { Vault, VaultRecord } from '../../vault/vault.ts'
import { guardedFetch, type GuardedFetch, type NameServers } from '../fetch/guarded-fetch.ts'
import { loginSettingsOf, serverUrlOf } from '../login-settings.ts'
import { DpopKey } from '../oauth/dpop-key.ts'
import { OAuthFailure } from '../oauth/failure.ts'
import { grantsWithoutPerson, type GrantName } from '../oauth/grants/grants.ts'
import { knownRegistration, NO_REDIRECT, registrationFor } from '../oauth/registration.ts'
import { scopesOf } from '../oauth/scopes.ts'
import type { TokenSet } from '../oauth/token-set.ts'
import { Account, type AccountOptions } from './account.ts'
import { ServerLogin } from './server-login.ts'

export interface AccountsOptions {
  readonly servers: readonly ServerConfig[]
  readonly vault: Vault
  readonly logger: Logger
  readonly events: EventSink
  /** Name servers for addresses that servers name. Default: those of the system. */
  readonly dns?: () => NameServers
  /** Fetches on behalf of a server. Default: the guarded fetch. */
  readonly fetchFor?: (serverUrl: string) => GuardedFetch
  /** The token with which a principal has logged in at the gateway. It is shown to identity providers only. */
  readonly callerTokenOf?: ((principal: string) => string | undefined) | undefined
}

/** Accounts of clients in memory. The tokens of others are read from the vault again. */
const MAX_ACCOUNTS = 10_000

/** The accounts of the gateway and of its clients at all servers. */
export class Accounts {
  readonly vault: Vault
  readonly #logger: Logger
  readonly #events: EventSink
  readonly #fetchFor: (serverUrl: string) => GuardedFetch
  readonly #callerTokenOf: AccountsOptions['callerTokenOf']
  readonly #grants: ReturnType<typeof grantsWithoutPerson>
  readonly #logins = new Map<string, { readonly key: string; readonly login: ServerLogin }>()
  /** In the order of their last request for an account. */
  readonly #accounts = new Map<string, Account>()

  constructor({ servers, vault, logger, events, dns, fetchFor, callerTokenOf }: AccountsOptions) {
    this.#callerTokenOf = callerTokenOf
    this.vault = vault
    this.#logger = logger
    this.#events = events
    this.#fetchFor = fetchFor ?? (serverUrl => guardedFetch({ serverUrl, dns }))
    this.#grants = grantsWithoutPerson(this.#fetchFor)
    this.reconfigure(servers)
  }

  /** The account of an owner. @throws OAuthFailure for a server that is not logged in to */
  account(server: ServerConfig, owner: string, principal?: Principal): Account {
    const account = this.known(server.name, owner, principal)
    if (account) return account
    if (server.problem !== undefined)
      throw new OAuthFailure(`The entry of server "${server.name}" has a problem: ${server.problem}`)
    throw new OAuthFailure(`Server "${server.name}" needs no login. Fix: nothing, or remove "oauth": false.`)
  }

  /** `undefined`: no such server is configured, or it is not logged in to. */
  known(server: string, owner: string, principal?: Principal): Account | undefined {
    const login = this.#logins.get(server)?.login
    if (!login) return undefined
    const key = JSON.stringify([server, owner])
    const known = this.#accounts.get(key)
    // A login by a command or the admin API knows the owner alone. Grants for a caller need its principal.
    const lacks = known !== undefined && principal !== undefined && known.principal === undefined
    if (lacks) known.end()
    const account = known && !lacks ? known : this.#made(login, owner, principal)
    this.#accounts.delete(key)
    this.#accounts.set(key, account)
    if (this.#accounts.size > MAX_ACCOUNTS) this.#endOldest()
    return account
  }

  /** Its links look it up again. */
  #endOldest(): void {
    const [oldest] = this.#accounts
    if (!oldest) return
    const [id, account] = oldest
    account.end()
    this.#accounts.delete(id)
  }

  /** Goes on with the servers of another configuration. */
  reconfigure(servers: readonly ServerConfig[]): void {
    const next = new Map(servers.map(server => [server.name, server]))
    for (const name of this.#logins.keys())
      if (loginSettingsOf(next.get(name)) === undefined) this.#remove(name)
    for (const server of servers) this.#set(server)
  }

  close(): void {
    for (const name of this.#logins.keys()) this.#remove(name)
  }

  #set(server: ServerConfig): void {
    const { oauth } = server
    const key = loginSettingsOf(server)
    if (oauth === false || key === undefined) return
    const known = this.#logins.get(server.name)
    if (known?.key === key) return
    known?.login.end()
    const fetch = this.#fetchFor(serverUrlOf(server))
    const onRenewed = (owner: string, cause: CredentialRenewed['cause']): void =>
      this.#renewed(server.name, owner, cause)
    const login = new ServerLogin({ server, oauth, fetch, vault: this.vault, onRenewed })
    this.#logins.set(server.name, { key, login })
    for (const [, account] of this.#accountsOf(server.name)) account.reconfigure(login, this.#grantOf(login))
  }

  #renewed(server: string, owner: string, cause: CredentialRenewed['cause']): void {
    if (this.#events.heard['credential.renewed'])
      this.#events.emit({ type: 'credential.renewed', time: CLOCK.wall(), server, owner, cause })
  }

  #remove(name: string): void {
    this.#logins.get(name)?.login.end()
    this.#logins.delete(name)
    for (const [id, account] of this.#accountsOf(name)) {
      account.end()
      this.#accounts.delete(id)
    }
  }

  #accountsOf(server: string): [string, Account][] {
    return [...this.#accounts].filter(([, { login }]) => login.server.name === server)
  }

  #made(login: ServerLogin, owner: string, principal: Principal | undefined): Account {
    return new Account(login, { owner, principal, logger: this.#logger, grant: this.#grantOf(login) })
  }

  /** `undefined`: a person logs in. */
  #grantOf({ oauth: { grant } }: ServerLogin): AccountOptions['grant'] {
    return grant === 'code' || grant === 'device' ? undefined : account => this.#granted(account)
  }

  /** Tokens without a person. They are not kept: others are as easy to get. */
  async #granted(account: Account): Promise<VaultRecord<TokenSet>> {
    const { login, principal } = account
    const { server, oauth, vault, fetch, signal } = login
    const found = await login.discover(account.asked.resourceMetadata)
    await login.checkIssuer(found)
    const { metadata } = found
    const scopes = scopesOf({
      configured: oauth.scopes,
      challenged: account.asked.scope,
      resource: found.resource?.scopes_supported,
      issuer: undefined,
      wanted: await account.wantedScope(),
    })
    const registration =
      knownRegistration(oauth, metadata) ??
      (await registrationFor({
        server: server.name,
        oauth,
        metadata,
        redirectUri: NO_REDIRECT,
        vault,
        fetch,
        signal,
      }))
    const dpop = login.bindsTokens(found, account.asked.takesProof) ? DpopKey.generate() : undefined
    const resource = login.resource(found)
    const context = login.context({ metadata, registration, resource, scopes, principal, dpop })
    const callerToken = principal && this.#callerTokenOf?.(principal.id)
    const value = await this.#grants[oauth.grant as GrantName]({ ...context, callerToken })
    return { issuer: metadata.issuer, value }
  }
}
