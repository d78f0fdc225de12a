import type { GatewayError } from './errors.ts'

/**
 * What the gateway presents to one server on behalf of one owner: the gateway itself, or one principal. A transport
 * asks for it before each request, and tells of each refusal. `docs/credentials.md` has the flow.
 */
export interface UpstreamCredentials {
  /**
   * The header pairs of one request as a flat list, names in lower case. They win over configured headers of the same
   * name. The same array as long as nothing has changed: a transport keeps what it has composed with it. Returned at
   * once when nothing has to be fetched, else as a promise.
   * @throws GatewayError `needs_login` or `upstream_unauthorized`, always as a rejection
   */
  headers(request: CredentialRequest): readonly string[] | Promise<readonly string[]>
  /**
   * The server has refused a request. `true`: `headers` gives others now, and the request is worth sending once more.
   * Otherwise the error of the request. Never rejects. A transport repeats a request once at most, and only if the
   * server has not answered it.
   */
  refused(refusal: CredentialRefusal): Promise<true | GatewayError>
  /** The headers of every response, before `refused` where it is one: e.g. `dpop-nonce`. Absent: of no interest. */
  answered?(headers: Readonly<Record<string, string | string[] | undefined>>): void
}

/** The part of an HTTP request that a credential may depend on. */
export interface CredentialRequest {
  readonly method: string
  /** The whole URL, without the credentials that a configured one may contain. */
  readonly url: string
}

/** What a server answered to a request whose credentials it does not accept. */
export interface CredentialRefusal {
  /** 401 or 403. */
  readonly status: number
  /** The whole header, bounded in length. `undefined` if there is none. */
  readonly wwwAuthenticate: string | undefined
  /** The list of `headers` with which the request was sent: by now there may be a newer one. */
  readonly sent: readonly string[]
}
