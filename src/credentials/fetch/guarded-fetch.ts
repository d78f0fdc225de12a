import type { Dispatcher } from 'undici'
import type { DnsConfig } from '../../config/replica-types.ts'
import { NameResolver } from '../../upstream/discovery/dns-resolver.ts'
import { VERSION } from '../../version.ts'
import { Destinations } from './destinations.ts'
import { FetchError } from './fetch-error.ts'
import { pinnedConnector } from './pinned-connector.ts'

/** As `fetch`, bounded. The body of the response is complete, so that it need not be read or cancelled. */
export type GuardedFetch = (url: string | URL, init?: RequestInit) => Promise<Response>

export interface GuardedFetchOptions {
  /** URL of the server on whose behalf documents are fetched, as configured. */
  readonly serverUrl: string
  /** Size of an answer. Default: 256 KiB. */
  readonly maxBytes?: number
  /** Time of a fetch with all that belongs to it, from the look-up of the name to the last byte. Default: 10 s. */
  readonly timeoutMs?: number
  /** Name servers of the configuration as it is then. Default: those of the system. */
  readonly dns?: (() => NameServers) | undefined
}

export type NameServers = Pick<DnsConfig, 'servers'>

const OF_SYSTEM: NameServers = { servers: [] }
const TIMEOUT_MS = 10_000
const MAX_BYTES = 256 * 1024
const MAX_HEADER_BYTES = 16 * 1024
const MAX_REDIRECTS = 3

/** Headers of a request with which no redirect is followed. */
const CREDENTIALS = ['authorization', 'dpop', 'proxy-authorization']
/** Headers of a request that the gateway or the connection sets, or that have no place here. */
const NOT_SENT =
  /^(?:cookie|host|connection|content-length|transfer-encoding|upgrade|expect|te|keep-alive|mcp-.*)$/
/** Statuses of responses without a body. */
const NO_BODY = new Set([204, 205, 304])

/**
 * Fetches metadata, keys and tokens of authorization servers: addresses that a server names, and not the operator.
 * One function for each server, kept as long as the server.
 *
 * - https only, except among loopback and private addresses; which addresses, see `Destinations`
 * - names are resolved once; connections go to the checked addresses only, without a proxy
 * - bounded in time, in the size of headers and body; compressed answers are refused
 * - at most three redirects, within the origin, and only of requests without credentials and body
 * - no cookies, no headers of MCP, no connection that stays open
 *
 * The returned function rejects with `FetchError`, or with the reason of `init.signal`.
 */
export function guardedFetch(options: GuardedFetchOptions): GuardedFetch {
  const { serverUrl, maxBytes = MAX_BYTES, timeoutMs = TIMEOUT_MS, dns = () => OF_SYSTEM } = options
  let resolver: NameResolver | undefined
  let servers: NameServers | undefined
  const destinations = new Destinations(serverUrl, host => {
    const now = dns()
    if (!resolver || now !== servers) resolver = new NameResolver((servers = now))
    return resolver.addresses(host)
  })
  return async (address, init = {}) => {
    const url = parsed(address)
    const { signal, redirect = 'follow', ...rest } = init
    const ending = new AbortController()
    const stop = (): void => ending.abort(signal?.reason)
    const timer = setTimeout(() => {
      const message = `${url.host} did not answer within ${timeoutMs / 1000} s. Fix: check that it is reachable from here.`
      ending.abort(new FetchError('timeout', url.host, message))
    }, timeoutMs)
    if (signal?.aborted) stop()
    signal?.addEventListener('abort', stop, { once: true })
    try {
      const addresses = await before(ending.signal, destinations.addressesOf(url))
      const request = new Request(url, rest)
      const body = request.body === null ? null : Buffer.from(await request.arrayBuffer())
      const exchange = { method: request.method, headers: headersOf(request), body, maxBytes, addresses }
      return await follow(url, exchange, redirect, ending.signal)
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', stop)
    }
  }
}

interface Exchange {
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer | null
  readonly maxBytes: number
  readonly addresses: readonly string[]
}

function parsed(address: string | URL): URL {
  if (!URL.canParse(String(address))) {
    const message = 'What should be a URL of an authorization server is none. Fix: check its metadata.'
    throw new FetchError('url', '', message)
  }
  const url = new URL(address)
  url.hash = ''
  return url
}

function headersOf(request: Request): Record<string, string> {
  const headers = Object.fromEntries([...request.headers].filter(([name]) => !NOT_SENT.test(name)))
  return {
    ...headers,
    accept: headers['accept'] ?? 'application/json',
    'accept-encoding': 'identity',
    'user-agent': `mcp-manifold/${VERSION}`,
  }
}

/** Sends a request, and again where it is redirected to. */
async function follow(
  url: URL,
  exchange: Exchange,
  mode: 'follow' | 'error' | 'manual',
  signal: AbortSignal,
): Promise<Response> {
  const { host, origin } = url
  const isBare = exchange.body === null && CREDENTIALS.every(name => !(name in exchange.headers))
  let at = url
  for (let redirects = 0; ; redirects++) {
    const response = await answerOf(at, exchange, signal)
    const location = response.headers.get('location')
    if (response.status < 300 || response.status > 399 || location === null || mode === 'manual')
      return response
    const refuse = (cause: string): never => {
      const message = `${host} ${cause}. Fix: use the address that it redirects to.`
      throw new FetchError('redirect', host, message)
    }
    if (mode === 'error') refuse('redirects, and no redirect is followed here')
    if (!isBare || (exchange.method !== 'GET' && exchange.method !== 'HEAD'))
      refuse('redirects a request that carries credentials or a body')
    if (redirects === MAX_REDIRECTS) refuse(`redirects more than ${MAX_REDIRECTS} times`)
    if (!URL.canParse(location, at.href)) refuse('redirects to what is no URL')
    at = new URL(location, at)
    if (at.origin !== origin || at.username !== '' || at.password !== '')
      refuse('redirects to another origin')
  }
}

/** One request on a connection of its own, which is closed when the answer is complete. */
async function answerOf(url: URL, exchange: Exchange, signal: AbortSignal): Promise<Response> {
  const { method, headers, body, maxBytes, addresses } = exchange
  const { Client } = await import('undici')
  const { connect, close } = pinnedConnector(addresses)
  const client = new Client(url.origin, {
    connect,
    pipelining: 0,
    maxHeaderSize: MAX_HEADER_BYTES,
    // The whole fetch has one limit of time.
    headersTimeout: 0,
    bodyTimeout: 0,
  })
  try {
    signal.throwIfAborted()
    const path = url.pathname + url.search
    const answer = await before(
      signal,
      client.request({ method: method as Dispatcher.HttpMethod, path, headers, body, signal }),
    )
    return await complete(url, method, answer, maxBytes)
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw error instanceof FetchError ? error : unreachable(url.host, error)
  } finally {
    close()
    void client.destroy().catch(() => undefined)
  }
}

async function complete(
  { host, href }: URL,
  method: string,
  { statusCode, headers, body }: Dispatcher.ResponseData,
  maxBytes: number,
): Promise<Response> {
  const refuse = (failure: 'too_large' | 'form', cause: string, fix: string): never => {
    body.on('error', () => undefined).destroy()
    throw new FetchError(failure, host, `${host} ${cause}. Fix: ${fix}.`)
  }
  const checkServer = 'check the address, and whether an authorization server is there'
  if (statusCode < 200 || statusCode > 599)
    refuse('form', `answered with status ${statusCode}, which means nothing`, checkServer)
  const encoding = String(headers['content-encoding'] ?? 'identity').toLowerCase()
  if (encoding !== 'identity' && method !== 'HEAD')
    refuse('form', 'sent a compressed answer, though none was asked for', checkServer)
  const tooLarge = (): never =>
    refuse('too_large', `sent more than ${maxBytes} bytes, which is the most that is read`, checkServer)
  if (method !== 'HEAD' && Number(headers['content-length'] ?? 0) > maxBytes) tooLarge()
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxBytes) tooLarge()
    chunks.push(chunk)
  }
  const hasBody = method !== 'HEAD' && !NO_BODY.has(statusCode)
  const response = new Response(hasBody ? Buffer.concat(chunks) : null, {
    status: statusCode,
    headers: shown(headers),
  })
  // As in a response of the platform.
  Object.defineProperty(response, 'url', { value: href })
  return response
}

/** The headers of a response without cookies, and without what is not text. */
function shown(headers: Dispatcher.ResponseData['headers']): Headers {
  const kept = new Headers()
  for (const [name, value] of Object.entries(headers)) {
    if (name === 'set-cookie' || value === undefined) continue
    for (const text of [value].flat())
      try {
        kept.append(name, text)
      } catch {
        // A value that no header can have is as good as none.
      }
  }
  return kept
}

function unreachable(host: string, error: unknown): FetchError {
  const code = (error as { code?: unknown }).code
  const cause = typeof code === 'string' ? code : 'unknown cause'
  if (code === 'UND_ERR_HEADERS_OVERFLOW' || code === 'HPE_HEADER_OVERFLOW') {
    const message = `${host} sent headers of more than ${MAX_HEADER_BYTES} bytes. Fix: check what is at that address.`
    return new FetchError('too_large', host, message, error)
  }
  const fix = /CERT|SIGNATURE|TLS|SSL/.test(cause)
    ? 'check its certificate; NODE_EXTRA_CA_CERTS names a file with authorities of your own'
    : 'check that it is running, and reachable from here without a proxy'
  return new FetchError('unreachable', host, `${host} cannot be reached (${cause}). Fix: ${fix}.`, error)
}

/** The value of `promise`, unless `signal` ends first. */
function before<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason as Error)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}
