import { HttpError } from '../core/http-error.ts'

/** What a refused caller is told: RFC 6750 section 3, RFC 9728 section 5.1. */
export interface Challenge {
  /** Address of the protected-resource metadata; `undefined` where tokens are not accepted. */
  readonly metadata: string | undefined
  /** Scopes that are asked for. */
  readonly scopes: readonly string[]
}

/** No credentials: 401 without an error code, which is what starts a login. */
export function missing(message: string, challenge: Challenge): HttpError {
  return refusal(401, message, challenge, undefined)
}

/** Credentials that are wrong, whatever is wrong with them. */
export function invalid(message: string, challenge: Challenge): HttpError {
  return refusal(401, message, challenge, 'invalid_token')
}

/** Credentials that are right and not enough. */
export function insufficient(message: string, challenge: Challenge): HttpError {
  return refusal(403, message, challenge, 'insufficient_scope')
}

/** Right credentials that no scope would make enough. */
export function forbidden(message: string): HttpError {
  return new HttpError(403, message, {}, 'forbidden')
}

/** More than one credential, or one in a place where it is written down. */
export function malformed(message: string): HttpError {
  return new HttpError(
    400,
    message,
    { 'www-authenticate': 'Bearer error="invalid_request"' },
    'unauthenticated',
  )
}

/** Nothing can be said about the credentials at the moment. */
export function unavailable(message: string, retryAfterS: number): HttpError {
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
