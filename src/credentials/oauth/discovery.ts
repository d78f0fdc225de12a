import { describeError } from '../../core/errors.ts'
import { isLoopback } from '../../core/loopback.ts'
import type { GuardedFetch } from '../fetch/guarded-fetch.ts'
import { fetchObject, resourceMetadataIn, serverMetadataIn } from './documents.ts'
import { OAuthFailure } from './failure.ts'
import type { AuthorizationServerMetadata, ResourceMetadata } from './metadata.ts'

/** Where to log in at a server, and for what. */
export interface Discovered {
  readonly metadata: AuthorizationServerMetadata
  /** `undefined`: the server does not describe itself. */
  readonly resource: ResourceMetadata | undefined
}

export interface DiscoveryRequest {
  readonly server: string
  readonly serverUrl: string
  /** `oauth.issuer`. */
  readonly issuer: string | undefined
  /** `resource_metadata` of the last refusal. */
  readonly resourceMetadataUrl: string | undefined
  readonly fetch: GuardedFetch
  readonly signal: AbortSignal
}

const RESOURCE = '/.well-known/oauth-protected-resource'
const OAUTH = '/.well-known/oauth-authorization-server'
const OPENID = '/.well-known/openid-configuration'
/** Authorization servers that are tried of those that a server names. */
const MAX_ISSUERS = 3

/** Finds the authorization server of a server. @throws OAuthFailure */
export async function discover(request: DiscoveryRequest): Promise<Discovered> {
  const resource = await resourceMetadata(request)
  if (request.issuer !== undefined)
    return { metadata: await knownMetadata(request.issuer, request), resource }
  const named = resource?.authorization_servers ?? []
  if (named.length === 0) return { metadata: await metadataAtServer(request), resource }
  let failure: unknown
  for (const issuer of named.slice(0, MAX_ISSUERS)) {
    try {
      return { metadata: await metadataOf(issuer, request), resource }
    } catch (caught) {
      request.signal.throwIfAborted()
      failure ??= caught
    }
  }
  throw failure
}

/** RFC 9728: the address that the server has named, then the one for its path, then that of its origin. */
async function resourceMetadata(request: DiscoveryRequest): Promise<ResourceMetadata | undefined> {
  const { serverUrl, resourceMetadataUrl, fetch, signal } = request
  const { origin, pathname } = new URL(serverUrl)
  const path = pathname.replace(/\/$/, '')
  const places = new Set([`${origin}${RESOURCE}${path}`, `${origin}${RESOURCE}`])
  const named = resourceMetadataUrl === undefined ? [] : [resourceMetadataUrl]
  for (const addresses of [named, [...places].filter(place => place !== resourceMetadataUrl)])
    for await (const { object } of documentsAt(addresses, fetch, signal)) {
      const read = object && resourceMetadataIn(object)
      // A document of another kind, such as a page for every path, names neither.
      if (read && (read.authorization_servers || read.resource !== undefined)) return read
    }
  return undefined
}

/** What is at an address. */
interface Found {
  readonly object?: Readonly<Record<string, unknown>> | undefined
  /** Why nothing answers there. */
  readonly failure?: unknown
}

/**
 * The documents at several addresses, in their order. All are asked for at once, so that a host that never answers
 * takes the time of one request. What is still under way when no more is wanted is given up.
 */
async function* documentsAt(
  addresses: readonly string[],
  fetch: GuardedFetch,
  signal: AbortSignal,
): AsyncGenerator<Found, void> {
  const enough = new AbortController()
  const ended = AbortSignal.any([signal, enough.signal])
  const all = addresses.map(address =>
    fetchObject(fetch, address, ended).then(
      (object): Found => ({ object }),
      (failure: unknown): Found => ({ failure }),
    ),
  )
  try {
    for (const found of all) {
      const document = await found
      signal.throwIfAborted()
      yield document
    }
  } finally {
    enough.abort()
  }
}

/** The metadata of an issuer that is configured or has granted tokens: that of a server itself has no document. */
export async function knownMetadata(
  issuer: string,
  request: Pick<DiscoveryRequest, 'server' | 'serverUrl' | 'fetch' | 'signal'>,
): Promise<AuthorizationServerMetadata> {
  try {
    return await metadataOf(issuer, request)
  } catch (caught) {
    if (!(caught instanceof OAuthFailure) || caught.isTransient) throw caught
    if (new URL(issuer).origin !== new URL(request.serverUrl).origin) throw caught
    const own = await metadataAtServer(request).catch(() => undefined)
    if (own && isSameIssuer(own.issuer, issuer)) return own
    throw caught
  }
}

/**
 * The metadata of an issuer (RFC 8414, OpenID Connect), at its path first. The endpoint for registrations is taken from
 * whichever document of the same issuer has it.
 *
 * @param isOwn whether a document may name this issuer instead
 */
async function metadataOf(
  issuer: string,
  { server, fetch, signal }: Pick<DiscoveryRequest, 'server' | 'fetch' | 'signal'>,
  isOwn = (named: string) => isSameIssuer(named, issuer),
): Promise<AuthorizationServerMetadata> {
  const { host, origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, '')
  const places =
    path === ''
      ? [origin + OAUTH, origin + OPENID]
      : [origin + OAUTH + path, origin + OPENID + path, origin + path + OPENID, origin + path + OAUTH]
  let found: AuthorizationServerMetadata | undefined
  let other: string | undefined
  let failure: unknown
  for await (const document of documentsAt(places, fetch, signal)) {
    failure ??= document.failure
    const read = document.object && serverMetadataIn(document.object)
    if (!read) continue
    if (found ? !isSameIssuer(read.issuer, found.issuer) : !isOwn(read.issuer)) other ??= read.issuer
    else found = found ? withRegistration(found, read) : read
    if (found?.registration_endpoint !== undefined) break
  }
  if (found) return found
  const about = `Server "${server}" names the authorization server ${host}`
  if (other !== undefined)
    throw new OAuthFailure(
      `${about}, which calls itself ${new URL(other).origin + new URL(other).pathname} instead of ${issuer}. Fix: set "oauth.issuer" to the right one of the two.`,
    )
  if (failure !== undefined)
    throw new OAuthFailure(`${about}, whose metadata cannot be read. ${describeError(failure)}`, {
      cause: failure,
      isTransient: true,
    })
  throw new OAuthFailure(
    `${about}, which has no metadata. Fix: set "oauth.issuer" to the address of the right one.`,
  )
}

/** A trailing slash alone makes no other issuer. */
function isSameIssuer(a: string, b: string): boolean {
  return a.replace(/\/$/, '') === b.replace(/\/$/, '')
}

function withRegistration(
  found: AuthorizationServerMetadata,
  other: AuthorizationServerMetadata,
): AuthorizationServerMetadata {
  const { registration_endpoint: endpoint } = other
  return endpoint === undefined ? found : { ...found, registration_endpoint: endpoint }
}

/** A page for logins is there without a login. */
const NO_PAGE: ReadonlySet<number> = new Set([401, 403, 404])

/**
 * A server of the revision 2025-03-26 is its own authorization server, with metadata at the root of its origin or at
 * fixed paths. Its issuer may have a path.
 */
async function metadataAtServer(
  request: Pick<DiscoveryRequest, 'server' | 'serverUrl' | 'fetch' | 'signal'>,
): Promise<AuthorizationServerMetadata> {
  const { server, serverUrl } = request
  const { origin } = new URL(serverUrl)
  try {
    return await metadataOf(origin, request, named => new URL(named).origin === origin)
  } catch (caught) {
    if (!(caught instanceof OAuthFailure) || caught.isTransient) throw caught
    if (caught.message.includes('calls itself')) throw caught
    const metadata = { issuer: origin, ...fixedEndpoints(origin) }
    const answer = await request
      .fetch(metadata.authorization_endpoint, { method: 'HEAD', redirect: 'manual', signal: request.signal })
      .catch(() => undefined)
    request.signal.throwIfAborted()
    if (answer && !NO_PAGE.has(answer.status)) return metadata
    throw new OAuthFailure(
      `Server "${server}" refuses requests without a login (HTTP 401), but does not say where to log in. Fix: set "headers.Authorization" of this server, or "oauth.issuer".`,
    )
  }
}

function fixedEndpoints(origin: string): {
  authorization_endpoint: string
  token_endpoint: string
  registration_endpoint: string
} {
  return {
    authorization_endpoint: `${origin}/authorize`,
    token_endpoint: `${origin}/token`,
    registration_endpoint: `${origin}/register`,
  }
}

/**
 * The resource that tokens are asked for (RFC 8707). `undefined`: none.
 * @param setting `oauth.resource`
 * @throws OAuthFailure when the server claims to be another one
 */
export function resourceOf(
  setting: string,
  { server, serverUrl }: Pick<DiscoveryRequest, 'server' | 'serverUrl'>,
  metadata: ResourceMetadata | undefined,
): string | undefined {
  if (setting === 'none') return undefined
  if (setting !== 'auto') return setting
  const claimed = metadata?.resource
  if (claimed === undefined) return metadata ? withoutHash(serverUrl) : undefined
  const [own, other] = [new URL(serverUrl), new URL(claimed)]
  const isWithin =
    own.origin === other.origin && `${own.pathname}/`.startsWith(other.pathname.replace(/\/*$/, '/'))
  if (isWithin || (isLoopback(own.hostname) && isLoopback(other.hostname) && own.port === other.port))
    return claimed
  throw new OAuthFailure(
    `The metadata of server "${server}" is that of another resource, ${other.origin + other.pathname}. Fix: correct its "url", or set "oauth.resource" if this is intended.`,
  )
}

function withoutHash(url: string): string {
  const parsed = new URL(url)
  parsed.hash = ''
  return parsed.href
}
