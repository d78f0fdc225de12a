import { GatewayError, type Delivery } from '../../../core/errors.ts'
import { statusHint } from './web-page.ts'

/** How much of the body of a refusal is kept: it is quoted, and nothing else is done with it. */
const QUOTED_CHARS = 300

/** The cause of a `GatewayError` when a server answered with an HTTP status instead of a message. */
export class HttpStatusError extends Error {
  readonly status: number

  /** @param location where a redirection leads, which is for the log: clients do not see where servers are */
  constructor(status: number, body: string, location?: string) {
    const to = location === undefined ? '' : ` to ${withoutCredentials(location)}`
    super(`HTTP ${status}${to}${body === '' ? '' : `: ${body.slice(0, QUOTED_CHARS)}`}`)
    this.name = 'HttpStatusError'
    this.status = status
  }
}

/** The address without what may be secret in it; a part of one as it is, up to its query. */
function withoutCredentials(location: string): string {
  const url = URL.canParse(location) ? new URL(location) : undefined
  const text = url ? `${url.protocol}//${url.host}${url.pathname}` : location.replace(/[?#].*$/s, '')
  return text.slice(0, QUOTED_CHARS)
}

/** What an HTTP status means that stands for no message, in words that name the fix. */
export function httpRefusal(
  server: string,
  status: number,
  body: string,
  retryAfterMs: number | undefined,
  location?: string,
): GatewayError {
  const cause = new HttpStatusError(status, body, location)
  // A server that says so has not begun; any other failure of it may have come in the middle.
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
