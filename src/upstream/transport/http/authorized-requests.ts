import { GatewayError } from '../../../core/errors.ts'
import type { UpstreamCredentials } from '../../../core/upstream-credentials.ts'
import { RESERVED } from './configured-headers.ts'
import { HttpStatusError } from './http-error.ts'
import type { Headers } from './sse-requests.ts'

/** Characters of `WWW-Authenticate` that are kept. A challenge with a URL, scopes and a description is far shorter. */
const MAX_CHALLENGE_CHARS = 8192

/** The headers of one request with the credentials of its link. */
export interface Presented {
  /** All headers of the request. */
  readonly headers: readonly string[]
  /** The part of them that the credentials gave. */
  readonly sent: readonly string[]
}

/** A response that says that the credentials of its request are not accepted. */
export interface CredentialChallenge {
  readonly status: number
  readonly wwwAuthenticate: string | undefined
}

/**
 * The requests of one link under the credentials of its owner: which headers they carry, and what a refusal leads to.
 * As long as neither the credentials nor the other headers change, all requests share one list of headers.
 */
export class AuthorizedRequests {
  readonly #server: string
  readonly #credentials: UpstreamCredentials
  #requests = new Map<string, { readonly method: string; readonly url: string }>()
  #base: readonly string[] = []
  #last: Presented = { headers: [], sent: [] }

  constructor(server: string, credentials: UpstreamCredentials) {
    this.#server = server
    this.#credentials = credentials
  }

  /**
   * The headers of a request: at once if the credentials are at hand. `base` are its other headers.
   * @throws GatewayError as a rejection
   */
  present(method: string, url: string, base: readonly string[]): Presented | Promise<Presented> {
    try {
      const list = this.#credentials.headers(this.#request(method, url))
      if (!(list instanceof Promise)) return this.#composed(base, list)
      return list.then(
        late => this.#composed(base, late),
        (error: unknown) => Promise.reject(GatewayError.from(error, this.#server)),
      )
    } catch (error) {
      return Promise.reject(GatewayError.from(error, this.#server))
    }
  }

  /** Passes on the headers of a response. */
  answered(headers: Headers): void {
    this.#credentials.answered?.(headers)
  }

  /**
   * What a refusal leads to. `true`: the request is sent once more. Otherwise its error. `repeated`: it has been sent
   * once more already.
   */
  async refused(
    { status, wwwAuthenticate }: CredentialChallenge,
    sent: readonly string[],
    repeated: boolean,
  ): Promise<true | GatewayError> {
    try {
      const outcome = await this.#credentials.refused({ status, wwwAuthenticate, sent })
      if (outcome !== true) return outcome
      // Without the body of the refusal: it may quote what was presented.
      return repeated ? this.#refusedAgain(status) : true
    } catch (error) {
      return GatewayError.from(error, this.#server)
    }
  }

  #refusedAgain(status: number): GatewayError {
    const server = this.#server
    return new GatewayError(
      'upstream_unauthorized',
      `Server "${server}" refused the gateway's credentials (HTTP ${status}), and those that were obtained anew. Fix: check what they permit at this server, and how it is configured to check them.`,
      { server, cause: new HttpStatusError(status, ''), delivery: 'not_sent' },
    )
  }

  /** A link sends its requests to one address, in three methods at most. */
  #request(method: string, url: string): { readonly method: string; readonly url: string } {
    let request = this.#requests.get(method)
    if (request?.url !== url) this.#requests.set(method, (request = Object.freeze({ method, url })))
    return request
  }

  #composed(base: readonly string[], list: readonly string[]): Presented {
    if (this.#base !== base || this.#last.sent !== list) {
      this.#base = base
      this.#last = { headers: composed(base, list), sent: list }
    }
    return this.#last
  }
}

/** What the response says about the credentials of its request. `undefined`: nothing. */
export function challengeOf(status: number, headers: Headers): CredentialChallenge | undefined {
  if (status !== 401 && status !== 403) return undefined
  const value = headers['www-authenticate']
  const text = Array.isArray(value) ? value.join(', ') : value
  return { status, wwwAuthenticate: text?.slice(0, MAX_CHALLENGE_CHARS) }
}

/** The headers of a request. Those of the credentials replace others of the same name, and none that frames it. */
function composed(base: readonly string[], list: readonly string[]): readonly string[] {
  const own: string[] = []
  const names = new Set<string>()
  for (let at = 0; at + 1 < list.length; at += 2) {
    const [name, value] = [list[at] as string, list[at + 1] as string]
    if (RESERVED.test(name)) continue
    names.add(name)
    own.push(name, value)
  }
  if (own.length === 0) return base
  const rest: string[] = []
  for (let at = 0; at + 1 < base.length; at += 2)
    if (!names.has(base[at] as string)) rest.push(base[at] as string, base[at + 1] as string)
  return [...rest, ...own]
}
