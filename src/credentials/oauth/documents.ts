import { jsonObjectIn } from '../../core/json-object.ts'
import type { GuardedFetch } from '../fetch/guarded-fetch.ts'
import type { AuthorizationServerMetadata, ResourceMetadata } from './metadata.ts'

/**
 * Reads the documents in which servers and authorization servers describe themselves. What has a wrong type is left
 * out.
 */

const MAX_TEXT = 2048
const MAX_ITEMS = 1000

const ENDPOINTS = [
  'authorization_endpoint',
  'token_endpoint',
  'registration_endpoint',
  'revocation_endpoint',
  'device_authorization_endpoint',
] as const
const LISTS = [
  'scopes_supported',
  'grant_types_supported',
  'token_endpoint_auth_methods_supported',
  'token_endpoint_auth_signing_alg_values_supported',
  'code_challenge_methods_supported',
  'dpop_signing_alg_values_supported',
] as const
const FLAGS = [
  'client_id_metadata_document_supported',
  'authorization_response_iss_parameter_supported',
] as const

/** The JSON object at an address. `undefined`: there is none. Rejects when nothing answers there. */
async function fetchObject(
  fetch: GuardedFetch,
  url: string,
  signal: AbortSignal,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  const response = await fetch(url, { headers: { accept: 'application/json' }, signal })
  return response.ok ? jsonObjectIn(await response.text()) : undefined
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
export async function* documentsAt(
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

export function serverMetadataIn(
  object: Readonly<Record<string, unknown>>,
): AuthorizationServerMetadata | undefined {
  const issuer = object['issuer']
  if (!isWebUrl(issuer)) return undefined
  const read: Record<string, unknown> = { issuer }
  for (const key of ENDPOINTS) if (isWebUrl(object[key])) read[key] = object[key]
  for (const key of LISTS) assign(read, key, textsIn(object[key]))
  for (const key of FLAGS) if (typeof object[key] === 'boolean') read[key] = object[key]
  return read as unknown as AuthorizationServerMetadata
}

export function resourceMetadataIn(object: Readonly<Record<string, unknown>>): ResourceMetadata {
  const read: Record<string, unknown> = {}
  const { resource, authorization_servers: servers, dpop_bound_access_tokens_required: dpop } = object
  if (isWebUrl(resource)) read['resource'] = resource
  assign(read, 'authorization_servers', textsIn(servers)?.filter(isWebUrl))
  assign(read, 'scopes_supported', textsIn(object['scopes_supported']))
  if (typeof dpop === 'boolean') read['dpop_bound_access_tokens_required'] = dpop
  return read
}

/** An address that a browser or a fetch may be sent to, as it may be shown: `URL` skips line breaks and the like. */
export function isWebUrl(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.length <= MAX_TEXT &&
    /^[\x21-\x7e]+$/.test(value) &&
    URL.canParse(value) &&
    /^https?:$/.test(new URL(value).protocol)
  )
}

function textsIn(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value) || value.length > MAX_ITEMS) return undefined
  return value.filter((item): item is string => typeof item === 'string' && item.length <= MAX_TEXT)
}

function assign(target: Record<string, unknown>, key: string, value: unknown): void {
  if (value !== undefined) target[key] = value
}
