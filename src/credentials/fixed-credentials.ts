import type { GatewayError } from '../core/errors.ts'
import type { CredentialRefusal, UpstreamCredentials } from '../core/upstream-credentials.ts'
import { afterRefusal } from './after-refusal.ts'

/** The headers that the configuration gives as they are. Only a reload changes them. */
export class FixedCredentials implements UpstreamCredentials {
  readonly #server: string
  readonly #list: readonly string[]

  constructor(server: string, headers: Readonly<Record<string, string>>) {
    this.#server = server
    this.#list = Object.freeze(Object.entries(headers).flat())
  }

  headers(): readonly string[] {
    return this.#list
  }

  refused(refusal: CredentialRefusal): Promise<true | GatewayError> {
    return afterRefusal(refusal, {
      server: this.#server,
      headers: () => this.#list,
      why: ({ status }) =>
        `refused the gateway's credentials (HTTP ${status}). Set or renew "headers.Authorization" of this server.`,
    })
  }
}
