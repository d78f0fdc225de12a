import { GatewayError } from '../core/errors.ts'

/** Titles of the error statuses of the admin API. */
const TITLES: Readonly<Record<number, string>> = {
  400: 'The request cannot be read',
  401: 'A credential is needed',
  403: 'This is not allowed',
  404: 'There is no such thing',
  405: 'The method is not offered here',
  408: 'The request took too long',
  409: 'The file cannot be written',
  412: 'The configuration has changed meanwhile',
  413: 'The body is too large',
  415: 'The body is not JSON',
  422: 'The content is not valid',
  426: 'An upgrade is needed',
  428: 'The header If-Match is missing',
  429: 'Too many requests',
  500: 'The gateway failed',
  503: 'This is not possible at the moment',
}

/** An error response (RFC 9457). `detail` names the cause and the fix and is safe to show. */
export class AdminProblem extends Error {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, detail: string, headers: Readonly<Record<string, string>> = {}) {
    super(detail)
    this.name = 'AdminProblem'
    this.status = status
    this.headers = headers
  }

  /** The body, as `application/problem+json`. */
  get document(): { type: string; title: string; status: number; detail: string } {
    const { status, message } = this
    return { type: 'about:blank', title: TITLES[status] ?? 'Error', status, detail: message }
  }
}

/** The error response for any exception. The message of an unexpected exception is not included. */
export function problemOf(error: unknown): AdminProblem {
  if (error instanceof AdminProblem) return error
  if (error instanceof GatewayError) {
    if (error.code === 'config') return new AdminProblem(422, error.message)
    if (error.code === 'shutting_down' || error.code === 'cancelled')
      return new AdminProblem(503, error.message)
    return new AdminProblem(500, error.message)
  }
  return new AdminProblem(500, 'The gateway failed to do this. Its log says why.')
}
