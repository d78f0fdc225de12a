import { isLoopback } from '../../core/loopback.ts'
import type { IncomingMessage } from 'node:http'
import { HttpError } from '../../core/http-error.ts'
import { DEFAULT_LEGACY, LEGACY_VERSIONS } from '../../protocol/revisions.ts'

/** Checks before a request is processed: foreign hosts, foreign origins, bodies that are too large or not JSON. */

const ANY: ReadonlySet<string> = new Set(['0.0.0.0', '::', '[::]'])

export interface HostRules {
  /** Address on which the front listens. */
  readonly host: string
  /** Origin under which clients reach the front, if known. */
  readonly publicUrl?: string | undefined
  readonly allowedHosts: readonly string[]
  readonly allowedOrigins: readonly string[]
}

/** Host and origin checks, prepared once for a front and applied to every request. */
export class HostGuard {
  readonly #hosts: ReadonlySet<string> | undefined
  readonly #origins: ReadonlySet<string>

  constructor(rules: HostRules) {
    const host = rules.host.toLowerCase()
    // On all interfaces and without a list there is nothing to compare with, because the host names of the gateway are
    // not known.
    const unknown = ANY.has(host) && rules.allowedHosts.length === 0
    const named = rules.publicUrl === undefined ? [] : [new URL(rules.publicUrl).hostname]
    this.#hosts = unknown
      ? undefined
      : new Set([host, ...named, ...rules.allowedHosts.map(h => hostname(h.toLowerCase()))])
    this.#origins = new Set(rules.allowedOrigins.map(origin => origin.toLowerCase()))
  }

  /**
   * Protects against DNS rebinding: a page of another site that reaches a loopback address still sends its own host,
   * and its own origin. Source: specification 2025-11-25, basic/transports, security warning.
   * @throws HttpError 403
   */
  check(request: IncomingMessage): void {
    this.checkPage(request)
    const { origin } = request.headers
    if (origin !== undefined && !this.#allows(origin.toLowerCase()))
      throw new HttpError(
        403,
        `The origin ${JSON.stringify(origin)} is not allowed here. Add it to "gateway.http.allowedOrigins".`,
      )
  }

  /**
   * The same without the origin, for pages that browsers navigate to: a form of a page without referrer has the origin
   * `null`, and the pages themselves tell their forms from others.
   * @throws HttpError 403
   */
  checkPage({ headers: { host } }: IncomingMessage): void {
    if (this.#hosts && !this.#isHere(hostname((host ?? '').toLowerCase())))
      throw new HttpError(
        403,
        `The host ${JSON.stringify(host ?? '')} is not allowed here. Add it to "gateway.http.allowedHosts".`,
      )
  }

  #isHere(name: string): boolean {
    return isLoopback(name) || this.#hosts?.has(name) === true
  }

  #allows(origin: string): boolean {
    if (this.#origins.has(origin)) return true
    try {
      const url = new URL(origin)
      return (url.protocol === 'http:' || url.protocol === 'https:') && isLoopback(url.hostname)
    } catch {
      return false
    }
  }
}

function hostname(host: string): string {
  if (host.startsWith('[')) return host.slice(0, host.indexOf(']') + 1)
  const colon = host.indexOf(':')
  return colon < 0 ? host : host.slice(0, colon)
}

/** Whether the peer is on this machine and is no proxy for another client. */
export function isDirect(request: IncomingMessage): boolean {
  const { forwarded, via } = request.headers
  const address = request.socket.remoteAddress ?? ''
  return (
    isLoopback(address) &&
    forwarded === undefined &&
    via === undefined &&
    request.headers['x-forwarded-for'] === undefined
  )
}

/** Query parameters that commonly carry credentials, and keys of this gateway under any name. */
const CREDENTIALS = /[?&](?:access_token|api[-_]?key|key|token|authorization|auth)=|mfd_/i

/** @throws HttpError 400 for a URL that contains credentials, because proxies and servers write URLs into logs */
export function checkQuery(url: string): void {
  if (CREDENTIALS.test(url))
    throw new HttpError(
      400,
      'Credentials in the address are not accepted, because addresses are logged. Send "Authorization: Bearer …" instead, and replace the key.',
      {},
      'unauthenticated',
    )
}

/** Error for a session beyond the maximum. */
export function tooManySessions(): HttpError {
  return new HttpError(
    503,
    'Too many sessions are open. Raise "gateway.http.maxSessions", or try again later.',
    { 'retry-after': '10' },
  )
}

/** @throws HttpError 406 */
export function checkAccept(request: IncomingMessage, type: 'application/json' | 'text/event-stream'): void {
  if (!accepts(request, type)) throw new HttpError(406, `The client must accept ${type}.`)
}

export function accepts(request: IncomingMessage, type: 'application/json' | 'text/event-stream'): boolean {
  const { accept } = request.headers
  return accept === undefined || accept.includes(type) || accept.includes('*/*')
}

/** The session that a request names. @throws HttpError 400 without one */
export function sessionId({ headers }: IncomingMessage): string {
  const id = headers['mcp-session-id']
  if (typeof id === 'string') return id
  if (headers.accept?.includes('text/html') === true)
    throw new HttpError(
      400,
      'This is an MCP endpoint and no page for a browser: add its address to an MCP client, as a server of type "http".',
    )
  throw new HttpError(400, 'The header Mcp-Session-Id is missing; send "initialize" first.')
}

/** @throws HttpError 400 for a revision without sessions */
export function checkLegacyVersion({ headers }: IncomingMessage): void {
  const version = headers['mcp-protocol-version'] ?? DEFAULT_LEGACY
  if (!LEGACY_VERSIONS.includes(version as string))
    throw new HttpError(
      400,
      `Protocol version ${JSON.stringify(version)} is not supported; supported are ${LEGACY_VERSIONS.join(', ')}.`,
    )
}
