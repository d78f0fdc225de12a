import type { Config, ServerConfig } from '../config/types.ts'
import type { CallerTokens } from '../core/caller-tokens.ts'
import type { Logger } from '../core/logger.ts'
import type { Principal } from '../core/principal.ts'
import type { UpstreamCredentials } from '../core/upstream-credentials.ts'
import { Credentials } from '../credentials/accounts/credentials.ts'
import type { Authorizer } from '../credentials/oauth/authorization.ts'
import type { Store } from '../state/store.ts'
import { openVault } from '../vault/open.ts'
import type { Vault } from '../vault/vault.ts'

export interface ServerCredentialsOptions {
  readonly config: Config
  readonly store: Store
  readonly logger: Logger
  /** The tokens with which callers have logged in at the gateway. */
  readonly callerTokens?: CallerTokens | undefined
}

/** What a gateway logs in with at the servers of its configuration, over its state store. */
export class ServerCredentials {
  readonly vault: Vault
  readonly authorizer: Authorizer
  /** What links present to a server. */
  readonly source: (server: ServerConfig, principal: Principal | undefined) => UpstreamCredentials | undefined
  readonly #credentials: Credentials

  constructor({ config, store, logger, callerTokens }: ServerCredentialsOptions) {
    const { keys, keySource, folder } = config.gateway.vault
    this.vault = openVault({ store, logger, keys, keySource, folder })
    const { servers } = config
    const callerTokenOf = callerTokens && ((principal: string) => callerTokens.of(principal))
    const credentials = new Credentials({ servers, vault: this.vault, logger, callerTokenOf })
    this.#credentials = credentials
    this.authorizer = credentials.authorizer
    this.source = (server, principal) => credentials.for(server, principal)
  }

  /** Goes on with another configuration, without the loss of a login that still fits. */
  reconfigure({ servers }: Config): void {
    this.#credentials.reconfigure(servers)
  }

  async close(): Promise<void> {
    this.#credentials.close()
    await this.vault.close()
  }
}
