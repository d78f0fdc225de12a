import { request as requestPlain, type IncomingHttpHeaders } from 'node:http'
import { request as requestTls } from 'node:https'
import { signalWithin } from '../core/signal-within.ts'
import { httpConnectOptions } from '../upstream/transport/http/connect-options.ts'
import type { UrlEndpoint } from '../config/replica-types.ts'

/** What a server answered, without what follows the first bytes of its body. */
export interface HttpAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** The beginning of the body. */
  readonly start: string
}

/** Time for an answer, from the connection to the first bytes of its body. */
const TIMEOUT_MS = 5000
/** Time for the first bytes of a body: a stream may stay silent. */
const SILENT_MS = 1000
const MAX_START_BYTES = 4096

export interface HttpQuestion {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

/**
 * Asks once, over a connection of its own to the addresses of the endpoint, and ends it after the first bytes.
 * `undefined`: there was no answer.
 * @param given ends the attempt
 */
export function askHttp(
  endpoint: Pick<UrlEndpoint, 'url' | 'addresses'>,
  { method, headers, body }: HttpQuestion,
  given: AbortSignal,
): Promise<HttpAnswer | undefined> {
  const { url } = endpoint
  const request = url.startsWith('https:') ? requestTls : requestPlain
  const signal = signalWithin(given, TIMEOUT_MS)
  const { lookup } = httpConnectOptions({ headers: {}, ...endpoint })
  return new Promise(resolve => {
    const options = { method, headers, agent: false, signal, ...(lookup && { lookup }) } as const
    const asked = request(url, options, response => {
      const { statusCode: status = 0, headers: answered } = response
      let start = ''
      const end = (): void => {
        clearTimeout(silent)
        resolve({ status, headers: answered, start: start.slice(0, MAX_START_BYTES) })
        asked.destroy()
      }
      const silent = setTimeout(end, SILENT_MS)
      response.setEncoding('utf8').on('data', (chunk: string) => {
        start += chunk
        if (start.length >= MAX_START_BYTES || start.includes('\n\n')) end()
      })
      response.on('error', end)
      response.on('end', end)
    })
    asked.on('error', () => resolve(undefined))
    asked.on('close', () => resolve(undefined))
    asked.end(body)
  })
}

const STREAM = { accept: 'text/event-stream' }
const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'mcp-manifold doctor', version: '1' },
  },
})

/** Whether the older transport, HTTP+SSE, is at an address. */
export async function speaksSse(endpoint: UrlEndpoint, signal: AbortSignal): Promise<boolean> {
  const answer = await askHttp(
    endpoint,
    { method: 'GET', headers: { ...endpoint.headers, ...STREAM } },
    signal,
  )
  return answer?.status === 200 && /^event:\s*endpoint\b/m.test(answer.start)
}

/** Whether Streamable HTTP is at an address. A session that this begins is ended. */
export async function speaksStreamable(endpoint: UrlEndpoint, signal: AbortSignal): Promise<boolean> {
  const { headers } = endpoint
  const accept = 'application/json, text/event-stream'
  const about = { ...headers, accept, 'content-type': 'application/json' }
  const answer = await askHttp(endpoint, { method: 'POST', headers: about, body: INITIALIZE }, signal)
  const session = answer?.headers['mcp-session-id']
  if (typeof session === 'string')
    await askHttp(endpoint, { method: 'DELETE', headers: { ...headers, 'mcp-session-id': session } }, signal)
  return answer?.status === 200 && answer.start.includes('"protocolVersion"')
}
