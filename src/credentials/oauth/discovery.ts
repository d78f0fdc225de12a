import { describeError } from '../../core/errors.ts'
import { isLoopback } from '../../core/loopback.ts'
import type { GuardedFetch } from '../fetch/guarded-fetch.ts'
import { documentsAt, resourceMetadataIn } from './documents.ts'
import { OAuthFailure } from './failure.ts'
import { isSameIssuer } from './issuer.ts'
import { findIssuer } from './issuer-metadata.ts'
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

/** The metadata of an issuer. @param isOwn whether a document may name this issuer instead */
async function metadataOf(
  issuer: string,
  { server, fetch, signal }: Pick<DiscoveryRequest, 'server' | 'fetch' | 'signal'>,
  isOwn?: (named: string) => boolean,
): Promise<AuthorizationServerMetadata> {
  const found = await findIssuer(issuer, { fetch, signal, wanted: 'registration_endpoint', isOwn })
  const { metadata, other, failure } = found
  if (metadata) return metadata
  const about = `Server "${server}" names the authorization server ${new URL(issuer).host}`
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
