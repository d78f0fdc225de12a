import type { GatewayError } from '../../core/errors.ts'
import type {
  CredentialRefusal,
  CredentialRequest,
  UpstreamCredentials,
} from '../../core/upstream-credentials.ts'
import type { Account } from './account.ts'

/** The account of one owner for a link, which outlives it: one that has ended is looked up again. */
export class OwnersAccount implements UpstreamCredentials {
  readonly #lookUp: () => Account | undefined
  #account: Account

  constructor(account: Account, lookUp: () => Account | undefined) {
    this.#account = account
    this.#lookUp = lookUp
  }

  headers(request: CredentialRequest): readonly string[] | Promise<readonly string[]> {
    return this.#current().headers(request)
  }

  refused(refusal: CredentialRefusal): Promise<true | GatewayError> {
    return this.#current().refused(refusal)
  }

  answered(headers: Parameters<NonNullable<UpstreamCredentials['answered']>>[0]): void {
    this.#current().answered(headers)
  }

  #current(): Account {
    // One of a server that is no longer configured stays ended.
    if (this.#account.isEnded) this.#account = this.#lookUp() ?? this.#account
    return this.#account
  }
}
