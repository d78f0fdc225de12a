import { once } from 'node:events'
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { text } from 'node:stream/consumers'
import type { AddressInfo } from 'node:net'
import type { KeyPair } from './certificates.ts'

/** A server on this machine that answers as a test wants it. */
export interface FaultyServer extends AsyncDisposable {
  readonly port: number
  /** `http://127.0.0.1:<port>/mcp`, or with TLS. */
  readonly url: string
}

export async function answering(listener: RequestListener, pair?: KeyPair): Promise<FaultyServer> {
  const server: Server = pair
    ? createTlsServer({ cert: pair.cert, key: pair.key }, listener)
    : createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: `${pair ? 'https' : 'http'}://127.0.0.1:${port}/mcp`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** The answer of a legacy server to a message; `undefined` to a notification. */
function answerTo(text: string): string | undefined {
  const { id, method } = JSON.parse(text) as { id?: number; method: string }
  if (id === undefined) return undefined
  const serverInfo = { name: 'faulty', version: '1' }
  const results: Readonly<Record<string, object>> = {
    initialize: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo },
    'tools/list': { tools: [] },
  }
  const result = results[method]
  const error = { code: -32601, message: 'Method not found' }
  return JSON.stringify({ jsonrpc: '2.0', id, ...(result ? { result } : { error }) })
}

/** Answers as a legacy server of Streamable HTTP without sessions. */
export const streamable: RequestListener = (request, response) => {
  if (request.method !== 'POST') return void response.writeHead(405).end()
  void text(request).then(message => {
    const answer = answerTo(message)
    if (answer === undefined) return response.writeHead(202).end()
    return response.writeHead(200, { 'content-type': 'application/json' }).end(answer)
  })
}

/** Answers as a server of the older HTTP+SSE. */
export function olderTransport(): RequestListener {
  let stream: ServerResponse | undefined
  return (request, response) => {
    if (request.method === 'GET') {
      stream = response.writeHead(200, { 'content-type': 'text/event-stream' })
      stream.write('event: endpoint\ndata: /messages\n\n')
    } else if (request.url === '/messages')
      void text(request).then(message => {
        response.writeHead(202).end()
        const answer = answerTo(message)
        if (answer !== undefined) stream?.write(`event: message\ndata: ${answer}\n\n`)
      })
    else response.writeHead(405).end()
  }
}
