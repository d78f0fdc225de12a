import { GatewayError, type Delivery } from '../../../core/errors.ts'
import { statusHint } from './web-page.ts'

/** Kept characters of the body of a refusal. They are quoted in the error and not used otherwise. */
const QUOTED_CHARS = 300

/** The cause of a `GatewayError` when a server answered with an HTTP status instead of a message. */
export class HttpStatusError extends Error {
  readonly status: number

  /** @param location target of a redirection, for the log only: clients do not get the addresses of servers */
  constructor(status: number, body: string, location?: string) {
    const to = location === undefined ? '' : ` to ${withoutCredentials(location)}`
    super(`HTTP ${status}${to}${body === '' ? '' : `: ${body.slice(0, QUOTED_CHARS)}`}`)
    this.name = 'HttpStatusError'
    this.status = status
  }
}

/** The URL without parts that may be secret. A relative one is kept up to its query. */
function withoutCredentials(location: string): string {
  const url = URL.canParse(location) ? new URL(location) : undefined
  const text = url ? `${url.protocol}//${url.host}${url.pathname}` : location.replace(/[?#].*$/s, '')
  return text.slice(0, QUOTED_CHARS)
}

/** The error for an HTTP status without a message, with the fix. */
export function httpRefusal(
  server: string,
  status: number,
  body: string,
  retryAfterMs: number | undefined,
  location?: string,
): GatewayError {
  const cause = new HttpStatusError(status, body, location)
  // With 503 the server has not begun. Any other 5xx may have occurred during the execution.
  const delivery: Delivery = status >= 500 && status !== 503 ? 'unknown' : 'not_sent'
  if (status === 401 || status === 403)
    return new GatewayError(
      'upstream_unauthorized',
      `Server "${server}" refused the gateway's credentials (HTTP ${status}). Set or renew "headers.Authorization" of this server.`,
      { server, cause, delivery },
    )
  const hint = statusHint(status, body)
  return new GatewayError(
    'upstream_unreachable',
    `Server "${server}" answered with HTTP ${status}. ${hint}`,
    {
      server,
      cause,
      delivery,
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    },
  )
}
