import type { IncomingMessage, ServerResponse } from 'node:http'
import { GatewayError } from '../../core/errors.ts'
import { HttpError } from '../../core/http-error.ts'
import { isLoopback } from '../../core/loopback.ts'
import { RESOURCE_METADATA } from '../../protocol/well-known.ts'
import { HostGuard, type HostRules } from './guards.ts'

/** The endpoints as a part of an HTTP server of another program. */

const MAX_PREFIX_LENGTH = 200
const PREFIX = /^(?:\/[\w.~!$&'()*+,;=:@%-]+)+$/

/** Position of a front in the server of another program. */
export interface MountPlace {
  /** Path in front of the gateway's own paths; empty: none. */
  readonly prefix: string
  /**
   * Whether only this machine may connect: callers are not authenticated, and the operator has not opened the gateway
   * to all.
   */
  readonly thisMachineOnly: boolean
}

/** Members that frameworks add to a request. */
export interface MountedRequest extends IncomingMessage {
  /** The original URL, where a framework has removed the mount path from `url`. */
  originalUrl?: string
}

/** A request listener of `node:http` that connect and express accept as a middleware, too. */
export type RequestHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  /** Called for a request whose path is none of the gateway's. Without it, such a request is answered 404. */
  next?: (error?: unknown) => void,
) => void

/** @throws GatewayError `config` when the prefix is no valid path */
export function checkPrefix(prefix: unknown): asserts prefix is string {
  const isText = typeof prefix === 'string'
  if (prefix === '' || (isText && prefix.length <= MAX_PREFIX_LENGTH && PREFIX.test(prefix))) return
  throw new GatewayError(
    'config',
    `The prefix ${isText ? JSON.stringify(prefix.slice(0, MAX_PREFIX_LENGTH)) : String(prefix)} of the handler is no path. Write it as in "/gateway": with "/" in front, none at the end, at most ${MAX_PREFIX_LENGTH} characters.`,
  )
}

/**
 * Handles requests whose path is one of the gateway's behind `prefix`, and passes the others to `next`. The `url` of a
 * handled request has no prefix.
 */
export function mounted(prefix: string, handle: RequestHandler): RequestHandler {
  const metadata = RESOURCE_METADATA + prefix
  return (request: MountedRequest, response, next) => {
    const whole = request.originalUrl ?? request.url ?? ''
    // The metadata of an endpoint is also at the root of its server.
    const own = startsWithPath(whole, metadata)
      ? RESOURCE_METADATA + whole.slice(metadata.length)
      : startsWithPath(whole, prefix)
        ? whole.slice(prefix.length)
        : ''
    if (next !== undefined && !isEndpoint(own)) return next()
    request.originalUrl ??= whole
    request.url = own.startsWith('/') ? own : `/${own}`
    handle(request, response)
  }
}

function startsWithPath(url: string, path: string): boolean {
  return url.startsWith(path) && (url.length === path.length || /[/?]/.test(url.charAt(path.length)))
}

/** Whether a path is one of the gateway's. */
function isEndpoint(url: string): boolean {
  const query = url.indexOf('?')
  const path = query < 0 ? url : url.slice(0, query)
  return (
    /^\/(?:mcp|sse)(?:\/|$)|^\/(?:messages|healthz|readyz)$|^\/oauth\/(?:callback$|login\/)/.test(path) ||
    path.startsWith(RESOURCE_METADATA)
  )
}

/** Checks of every request where another program listens. */
export class MountGuard extends HostGuard {
  readonly #thisMachineOnly: boolean

  constructor(rules: HostRules, thisMachineOnly: boolean) {
    super(rules)
    this.#thisMachineOnly = thisMachineOnly
  }

  override check(request: IncomingMessage): void {
    super.check(request)
    if (countAuthorizations(request.rawHeaders) > 1)
      throw new HttpError(
        400,
        'There is more than one Authorization header; send one.',
        {},
        'unauthenticated',
      )
  }

  override checkPage(request: IncomingMessage): void {
    super.checkPage(request)
    const { remoteAddress } = request.socket
    // A Unix socket has no address.
    if (this.#thisMachineOnly && remoteAddress !== undefined && !isLoopback(remoteAddress))
      throw new HttpError(
        403,
        'Without clients, the gateway serves only the machine it runs on. Add "clients" to its configuration, or create it with allowAnonymous.',
        {},
        'forbidden',
      )
  }
}

/** Counts the Authorization headers. Node.js drops all but the first, unless the server joins them. */
function countAuthorizations(rawHeaders: readonly string[]): number {
  let count = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string
    if (name.length === 13 && name.toLowerCase() === 'authorization') count++
  }
  return count
}
