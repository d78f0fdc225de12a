import type { ServerLists } from '../catalog/server-lists.ts'
import type { ServerConfig } from '../config/types.ts'
import type { Principal } from '../core/principal.ts'
import { HostedPages } from '../credentials/login/hosted-pages.ts'
import { keptLogins, type KeptLogin } from '../credentials/login/kept-logins.ts'
import { logOut, type LoggedOut } from '../credentials/login/logout.ts'
import { Logins, type LoginsOptions } from '../credentials/login/logins.ts'
import type { PendingLogin } from '../credentials/login/pending-login.ts'
import { ownerOf } from '../credentials/owner.ts'
import type { CredentialSource } from '../credentials/upstream-credentials.ts'

/** What a gateway logs in with at servers. */
export interface CredentialParts extends Pick<LoginsOptions, 'authorizer' | 'vault'> {
  /** What links present to a server. */
  readonly source: CredentialSource
}

export interface ServerLoginsOptions extends Omit<LoginsOptions, 'onLoggedIn'> {
  /** The configuration of a server. @throws GatewayError for a name that is not in the configuration */
  readonly serverOf: (server: string) => ServerConfig
  readonly lists: Pick<ServerLists, 'refresh' | 'failure'>
}

/** The logins of the servers of a gateway: who may begin one, and what follows from it. */
export class ServerLogins {
  readonly logins: Logins
  readonly pages: HostedPages
  readonly #options: ServerLoginsOptions

  constructor(options: ServerLoginsOptions) {
    this.#options = options
    this.logins = new Logins({
      ...options,
      // What a server offers is known only now.
      onLoggedIn: server => void this.#options.lists.refresh(server),
    })
    this.pages = new HostedPages(this.logins, () => options.hosted()?.startsWith('https:') === true)
  }

  readonly mayLogIn = (server: string): boolean => this.#options.serverOf(server).oauth !== false

  readonly beginLogin = async (server: string, principal: Principal): Promise<PendingLogin> => {
    const config = this.#options.serverOf(server)
    return await this.logins.begin(config, ownerOf(config, principal))
  }

  readonly listNow: (...args: Parameters<ServerLists['refresh']>) => Promise<void> = async (
    server,
    exchange,
  ) => {
    const { lists } = this.#options
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
    const { serverOf, vault, logger } = this.#options
    this.logins.abandon(server, owner)
    return await logOut(vault, serverOf(server), owner, logger)
  }

  /** The logins there are, without anything secret. */
  async list(): Promise<readonly KeptLogin[]> {
    return await keptLogins(this.#options.vault)
  }

  close(): void {
    this.logins.close()
  }
}
