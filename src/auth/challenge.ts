import { HttpError } from '../core/http-error.ts'

/** Parameters of the `WWW-Authenticate` challenge: RFC 6750 section 3, RFC 9728 section 5.1. */
export interface Challenge {
  /** Address of the protected-resource metadata; `undefined` when tokens are not accepted. */
  readonly metadata: string | undefined
  /** Required scopes. */
  readonly scopes: readonly string[]
}

/** No credentials: 401 without an error code, which starts a login in clients. */
export function missing(message: string, challenge: Challenge): HttpError {
  return refusal(401, message, challenge, undefined)
}

/** Invalid credentials, for any reason. */
export function invalid(message: string, challenge: Challenge): HttpError {
  return refusal(401, message, challenge, 'invalid_token')
}

/** Valid credentials with insufficient scopes. */
export function insufficient(message: string, challenge: Challenge): HttpError {
  return refusal(403, message, challenge, 'insufficient_scope')
}

/** Valid credentials that no scope would make sufficient. */
export function forbidden(message: string): HttpError {
  return new HttpError(403, message, {}, 'forbidden')
}

/** More than one credential, or one in a part of the request that is logged, such as the URL. */
export function malformed(message: string): HttpError {
  return new HttpError(
    400,
    message,
    { 'www-authenticate': 'Bearer error="invalid_request"' },
    'unauthenticated',
  )
}

/** The credentials cannot be verified at the moment. */
export function identityUnavailable(message: string, retryAfterS: number): HttpError {
  return new HttpError(503, message, { 'retry-after': String(retryAfterS) }, 'unauthenticated')
}

function refusal(
  status: 401 | 403,
  message: string,
  { metadata, scopes }: Challenge,
  error: 'invalid_token' | 'insufficient_scope' | undefined,
): HttpError {
  const parameters: string[] = []
  if (error !== undefined) parameters.push(`error="${error}"`, `error_description="${quotable(message)}"`)
  if (scopes.length > 0) parameters.push(`scope="${scopes.map(quotable).join(' ')}"`)
  if (metadata !== undefined) parameters.push(`resource_metadata="${metadata}"`)
  const header = parameters.length === 0 ? 'Bearer' : `Bearer ${parameters.join(', ')}`
  return new HttpError(
    status,
    message,
    { 'www-authenticate': header },
    status === 401 ? 'unauthenticated' : 'forbidden',
  )
}

/** The characters that RFC 6750 allows inside the quotes. */
function quotable(text: string): string {
  return text.replace(/"/g, "'").replace(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, '?')
}
