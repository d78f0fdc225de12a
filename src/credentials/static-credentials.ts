import { withClientValues } from '../core/client-placeholders.ts'
import { GatewayError } from '../core/errors.ts'
import type { CredentialRefusal, UpstreamCredentials } from '../core/upstream-credentials.ts'
import type { ValueOf } from './client-values.ts'

/** The values of the client at this moment. */
interface CurrentValues {
  /** Another number after each change. */
  readonly version: number
  /** @throws GatewayError `missing_value`, here or for a name */
  current(): ValueOf
}

/** Headers with values of one client. They follow a change of the values; they need no login. */
export class StaticCredentials implements UpstreamCredentials {
  readonly #server: string
  /** Names in lower case → text with placeholders. */
  readonly #texts: readonly (readonly [string, string])[]
  readonly #values: CurrentValues
  #list: readonly string[] = []
  #version: number | undefined

  constructor(server: string, texts: readonly (readonly [string, string])[], values: CurrentValues) {
    this.#server = server
    this.#texts = texts
    this.#values = values
  }

  headers(): readonly string[] | Promise<readonly string[]> {
    const { version } = this.#values
    if (version === this.#version) return this.#list
    try {
      const value = this.#values.current()
      const list = this.#texts.flatMap(([name, text]) => [name, withClientValues(text, value)])
      if (!isSame(list, this.#list)) this.#list = Object.freeze(list)
      this.#version = version
      return this.#list
    } catch (error) {
      return Promise.reject(error as GatewayError)
    }
  }

  /** Worth another try only with values that were changed in the meantime. */
  async refused({ status, sent }: CredentialRefusal): Promise<true | GatewayError> {
    try {
      if ((await this.headers()) !== sent) return true
    } catch (error) {
      return GatewayError.from(error, this.#server)
    }
    const names = this.#texts.map(([name]) => name).join(', ')
    return new GatewayError(
      'upstream_unauthorized',
      `Server "${this.#server}" refused the credentials of this client (HTTP ${status}). Fix: renew the values of the client that the headers ${names} of this server use.`,
      { server: this.#server },
    )
  }
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, at) => text === b[at])
}
