import type { ServerLists } from '../catalog/server-lists.ts'
import type { Config, ServerConfig } from '../config/types.ts'
import { CallerTokens } from '../core/caller-tokens.ts'
import type { EventSink } from '../core/event-bus.ts'
import type { Logger } from '../core/logger.ts'
import type { Principal } from '../core/principal.ts'
import { Credentials } from '../credentials/accounts/credentials.ts'
import { HostedPages } from '../credentials/login/hosted-pages.ts'
import { keptLogins, type KeptLogins } from '../credentials/login/kept-logins.ts'
import { logOut, type LoggedOut } from '../credentials/login/logout.ts'
import { Logins } from '../credentials/login/logins.ts'
import type { PendingLogin } from '../credentials/login/pending-login.ts'
import { ownerOf } from '../credentials/owner.ts'
import type { CredentialSource } from '../credentials/upstream-credentials.ts'
import type { Store } from '../state/store.ts'
import { openVault } from '../vault/open.ts'
import type { Vault } from '../vault/vault.ts'

export interface ServerLoginsOptions {
  readonly config: Config
  readonly store: Store
  readonly logger: Logger
  readonly events: EventSink
  /** Address under which browsers reach the gateway, if they do. */
  readonly pagesAt: () => string | undefined
  /** The configuration of a server. @throws GatewayError for a name that is not in the configuration */
  readonly serverOf: (server: string) => ServerConfig
  /** Whether there is such a server: a reload may have removed it while a call was on its way. */
  readonly isServer: (server: string) => boolean
  readonly lists: () => Pick<ServerLists, 'refresh' | 'failure'>
}

/** How the gateway logs in at servers: what its links present, the logins of people, and where they are kept. */
export class ServerLogins {
  readonly logins: Logins
  readonly pages: HostedPages
  /** Filled by the fronts, for identity providers. */
  readonly callerTokens = new CallerTokens()
  readonly #vault: Vault
  readonly #credentials: Credentials
  readonly #options: ServerLoginsOptions
  #dns: Config['gateway']['dns']

  constructor(options: ServerLoginsOptions) {
    const { config, store, logger, events, pagesAt } = options
    this.#options = options
    this.#dns = config.gateway.dns
    const vault = (this.#vault = openVault({ ...config.gateway.vault, store, logger }))
    this.#credentials = new Credentials({
      servers: config.servers,
      vault,
      logger,
      events,
      dns: () => this.#dns,
      callerTokenOf: principal => this.callerTokens.of(principal),
    })
    this.logins = new Logins({
      authorizer: this.#credentials.authorizer,
      vault,
      events,
      logger,
      hosted: pagesAt,
      // What a server offers is known only now.
      onLoggedIn: server => void options.lists().refresh(server),
    })
    this.pages = new HostedPages(this.logins, () => pagesAt()?.startsWith('https:') === true)
  }

  /** What links present. */
  readonly source: CredentialSource = (server, principal) => this.#credentials.for(server, principal)

  /** Of a server that was removed, the call itself says so. */
  readonly mayLogIn = (server: string): boolean =>
    this.#options.isServer(server) && this.#options.serverOf(server).oauth !== false

  readonly beginLogin = async (server: string, principal: Principal): Promise<PendingLogin> => {
    const config = this.#options.serverOf(server)
    return await this.logins.begin(config, ownerOf(config, principal))
  }

  readonly listNow: (...args: Parameters<ServerLists['refresh']>) => Promise<void> = async (
    server,
    exchange,
  ) => {
    const lists = this.#options.lists()
    // A listing that runs may have begun before the login.
    for (let attempt = 0; attempt < 2; attempt++) {
      await lists.refresh(server, exchange)
      if (lists.failure(server)?.code !== 'needs_login') break
    }
    const failure = lists.failure(server)
    if (failure) throw failure
  }

  /** Forgets a login, and ends one that is under way. Other gateways that share the vault notice within seconds. */
  async logOut(server: string, owner: string): Promise<LoggedOut> {
    const { serverOf, logger } = this.#options
    this.logins.abandon(server, owner)
    // A callback that has come stores the tokens of its login nevertheless.
    await this.logins.callbacksDone(server, owner)
    return await logOut(this.#vault, serverOf(server), owner, { logger, dns: () => this.#dns })
  }

  /** The logins there are, without anything secret. */
  async list(): Promise<KeptLogins> {
    return await keptLogins(this.#vault)
  }

  reconfigure({ servers, gateway }: Config): void {
    this.#dns = gateway.dns
    this.#credentials.reconfigure(servers)
    this.logins.reconfigure(servers)
  }

  async close(): Promise<void> {
    this.logins.close()
    this.#credentials.close()
    await this.#vault.close()
  }
}
