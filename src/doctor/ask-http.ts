import { request as requestPlain, type IncomingHttpHeaders } from 'node:http'
import { request as requestTls } from 'node:https'

/** What a server answered, without what follows the first bytes of its body. */
export interface HttpAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** The beginning of the body. */
  readonly start: string
}

const TIMEOUT_MS = 5000
const MAX_START_BYTES = 4096

export interface HttpQuestion {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

/** Asks once over a connection of its own, and ends it after the first bytes. `undefined`: there was no answer. */
export function askHttp(
  url: string,
  { method, headers, body }: HttpQuestion,
): Promise<HttpAnswer | undefined> {
  const request = url.startsWith('https:') ? requestTls : requestPlain
  return new Promise(resolve => {
    const options = { method, headers, agent: false, timeout: TIMEOUT_MS } as const
    const asked = request(url, options, response => {
      const { statusCode: status = 0, headers: answered } = response
      const end = (start: string): void => {
        asked.destroy()
        resolve({ status, headers: answered, start })
      }
      // A stream may stay silent.
      const silent = setTimeout(end, 1000, '')
      let start = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        start += chunk
        if (start.length < MAX_START_BYTES && !start.includes('\n\n')) return
        clearTimeout(silent)
        end(start.slice(0, MAX_START_BYTES))
      })
      response.on('error', () => undefined)
      response.on('end', () => {
        clearTimeout(silent)
        end(start)
      })
    })
    asked.on('timeout', () => asked.destroy())
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
export async function speaksSse(url: string, headers: HttpQuestion['headers']): Promise<boolean> {
  const answer = await askHttp(url, { method: 'GET', headers: { ...headers, ...STREAM } })
  return answer?.status === 200 && /^event:\s*endpoint\b/m.test(answer.start)
}

/** Whether Streamable HTTP is at an address. A session that this begins is ended. */
export async function speaksStreamable(url: string, headers: HttpQuestion['headers']): Promise<boolean> {
  const accept = 'application/json, text/event-stream'
  const about = { ...headers, accept, 'content-type': 'application/json' }
  const answer = await askHttp(url, { method: 'POST', headers: about, body: INITIALIZE })
  const session = answer?.headers['mcp-session-id']
  if (typeof session === 'string')
    await askHttp(url, { method: 'DELETE', headers: { ...headers, 'mcp-session-id': session } })
  return answer?.status === 200 && answer.start.includes('"protocolVersion"')
}
