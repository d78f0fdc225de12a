import type { IncomingMessage } from 'node:http'
import type { HttpFrontConfig, JwtConfig } from '../config/types.ts'
import { isLoopback, LOOPBACK_NAMES } from '../core/loopback.ts'
import { RESOURCE_METADATA } from '../protocol/well-known.ts'

/** Path of the metadata of a protected resource, followed by the path of the resource (RFC 9728 section 3.1). */
/** Paths of the two transports. */
const ROOTS = ['/mcp', '/sse']

/**
 * The endpoints as OAuth protected resources: each has an address for which tokens are issued (RFC 8707) and a document
 * that names the issuers (RFC 9728).
 */
export class Resources {
  readonly #publicUrl: string | undefined
  readonly #issuers: readonly string[]
  readonly #scopes: readonly string[]
  #origins: readonly string[]

  constructor(http: Pick<HttpFrontConfig, 'publicUrl'>, jwt: readonly JwtConfig[]) {
    this.#publicUrl = http.publicUrl
    this.#origins = http.publicUrl === undefined ? [] : [http.publicUrl]
    this.#issuers = jwt.map(({ issuer }) => issuer)
    this.#scopes = [
      ...new Set(jwt.flatMap(({ scopes, requiredScopes }) => [...requiredScopes, ...Object.keys(scopes)])),
    ]
  }

  /** All loopback names are equivalent on a loopback address. */
  listensAt(origin: string): void {
    if (this.#publicUrl !== undefined) return
    const { protocol, hostname, port } = new URL(origin)
    const names = new Set(isLoopback(hostname) ? [...LOOPBACK_NAMES, hostname] : [hostname])
    this.#origins = [...names].map(name => new URL(`${protocol}//${name}:${port}`).origin)
  }

  /**
   * Whether the audiences include the endpoint. A token for the aggregate is valid for each part, because its holder
   * can reach the part through the aggregate. A token for a part is valid only there.
   */
  accepts(audiences: readonly string[], endpoint: string): boolean {
    const paths = ROOTS.flatMap(root =>
      endpoint === '' ? [root] : [root, `${root}/${encodeURIComponent(endpoint)}`],
    )
    return audiences.some(audience =>
      this.#origins.some(origin =>
        paths.some(path => audience === origin + path || audience === `${origin}${path}/`),
      ),
    )
  }

  /** Address of the metadata for a request; `undefined` when no tokens are accepted. */
  metadataUrl(request: IncomingMessage): string | undefined {
    if (this.#issuers.length === 0) return undefined
    const path = pathOf(request.url ?? '')
    return this.#originOf(request) + RESOURCE_METADATA + (isEndpoint(path) ? path : ROOTS[0])
  }

  /**
   * The document of the endpoint at `path`. It exists for any path, so that it does not reveal which endpoints exist.
   */
  metadata(request: IncomingMessage, path: string): string | undefined {
    if (this.#issuers.length === 0 || !(path === '' || isEndpoint(path))) return undefined
    return JSON.stringify({
      resource: this.#originOf(request) + (path === '' ? ROOTS[0] : path),
      authorization_servers: this.#issuers,
      ...(this.#scopes.length > 0 ? { scopes_supported: this.#scopes } : {}),
      bearer_methods_supported: ['header'],
      resource_name: 'Manifold',
    })
  }

  /** The address under which the client reached the gateway, because the client compares it. */
  #originOf(request: IncomingMessage): string {
    const { host } = request.headers
    return (
      this.#origins.find(origin => new URL(origin).host === host?.toLowerCase()) ?? this.#origins[0] ?? ''
    )
  }
}

function isEndpoint(path: string): boolean {
  return ROOTS.some(
    root =>
      path === root || (path.startsWith(`${root}/`) && /^[\w.~%!$&'()*+,;=:@-]{1,300}$/.test(path.slice(5))),
  )
}

function pathOf(url: string): string {
  const query = url.indexOf('?')
  return query < 0 ? url : url.slice(0, query)
}
