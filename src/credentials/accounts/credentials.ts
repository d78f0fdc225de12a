import type { ServerConfig } from '../../config/types.ts'
import type { Principal } from '../../core/principal.ts'
import type { UpstreamCredentials } from '../../core/upstream-credentials.ts'
import { Accounts, type AccountsOptions } from './accounts.ts'
import { CodeAuthorizer } from './code-authorizer.ts'
import { OwnersAccount } from './owners-account.ts'
import type { Authorizer } from '../oauth/authorization.ts'
import { GATEWAY_OWNER, ownerOf } from '../owner.ts'

/** What the gateway presents to servers that it logs in to. */
export class Credentials {
  readonly authorizer: Authorizer
  readonly #accounts: Accounts

  constructor(options: AccountsOptions) {
    this.#accounts = new Accounts(options)
    this.authorizer = new CodeAuthorizer(this.#accounts, options.logger)
  }

  /**
   * The credentials for links to a server, of a principal or of the gateway itself. `undefined`: the server is not
   * logged in to.
   */
  for(server: ServerConfig, principal: Principal | undefined): UpstreamCredentials | undefined {
    const owner = principal ? ownerOf(server, principal) : GATEWAY_OWNER
    const lookUp = () =>
      this.#accounts.known(server.name, owner, owner === GATEWAY_OWNER ? undefined : principal)
    const account = lookUp()
    return account && new OwnersAccount(account, lookUp)
  }

  /** Goes on with the servers of another configuration. */
  reconfigure(servers: readonly ServerConfig[]): void {
    this.#accounts.reconfigure(servers)
  }

  close(): void {
    this.#accounts.close()
  }
}
