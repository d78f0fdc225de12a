import type { GuardedFetch } from '../fetch/guarded-fetch.ts'
import { documentsAt, serverMetadataIn } from './documents.ts'
import { isSameIssuer } from './issuer.ts'
import type { AuthorizationServerMetadata } from './metadata.ts'

const OAUTH = '/.well-known/oauth-authorization-server'
const OPENID = '/.well-known/openid-configuration'

/** Endpoints that are taken from whichever document of an issuer has them. */
type SharedEndpoint = 'registration_endpoint' | 'token_endpoint'

export interface IssuerRequest {
  readonly fetch: GuardedFetch
  readonly signal: AbortSignal
  /** The endpoint that further documents are read for, where the first has none. */
  readonly wanted: SharedEndpoint
  /** Whether a document may name this issuer. Default: only the one that is asked for. */
  readonly isOwn?: ((named: string) => boolean) | undefined
}

/** What stands at the addresses of an issuer. */
export interface IssuerFound {
  /** `undefined`: no document is its own. */
  readonly metadata?: AuthorizationServerMetadata | undefined
  /** Another issuer, which a document names instead. */
  readonly other?: string | undefined
  /** Why an address does not answer. */
  readonly failure?: unknown
}

/**
 * Reads the metadata of an issuer (RFC 8414, OpenID Connect), at its path first. Rejects only with the reason of the
 * signal.
 */
export async function findIssuer(
  issuer: string,
  { fetch, signal, wanted, isOwn = named => isSameIssuer(named, issuer) }: IssuerRequest,
): Promise<IssuerFound> {
  let metadata: AuthorizationServerMetadata | undefined
  let other: string | undefined
  let failure: unknown
  for await (const document of documentsAt(placesOf(issuer), fetch, signal)) {
    failure ??= document.failure
    const read = document.object && serverMetadataIn(document.object)
    if (!read) continue
    if (metadata ? !isSameIssuer(read.issuer, metadata.issuer) : !isOwn(read.issuer)) other ??= read.issuer
    else metadata = metadata ? withEndpoint(metadata, read, wanted) : read
    if (metadata?.[wanted] !== undefined) break
  }
  return { metadata, other, failure }
}

function placesOf(issuer: string): readonly string[] {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, '')
  return path === ''
    ? [origin + OAUTH, origin + OPENID]
    : [origin + OAUTH + path, origin + OPENID + path, origin + path + OPENID, origin + path + OAUTH]
}

function withEndpoint(
  found: AuthorizationServerMetadata,
  other: AuthorizationServerMetadata,
  wanted: SharedEndpoint,
): AuthorizationServerMetadata {
  const endpoint = other[wanted]
  return endpoint === undefined ? found : { ...found, [wanted]: endpoint }
}
