// @ts-check
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'

/**
 * @param {import('./server.js').Serving} serving
 * @param {number} port
 */
export async function serveHttp(serving, port) {
  /** @type {Map<string, { peer: import('./server.js').Peer, standalone: import('node:http').ServerResponse | undefined, waiting: object[] }>} */
  const sessions = new Map()
  const everyone = serving.modern ? serving.join(() => {}) : undefined

  const server = createServer(async (request, response) => {
    const session = sessions.get(String(request.headers['mcp-session-id']))
    if (request.method !== 'POST') {
      if (!session) return void response.writeHead(serving.modern ? 405 : 404).end()
      if (request.method === 'DELETE') {
        serving.leave(session.peer)
        sessions.delete(String(request.headers['mcp-session-id']))
        return void response.end()
      }
      stream(response)
      session.standalone = response
      for (const message of session.waiting.splice(0)) event(response, message)
      response.on('close', () => {
        if (session.standalone === response) session.standalone = undefined
      })
      return
    }
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += chunk
    const message = JSON.parse(body)
    const { method } = message
    if (everyone) {
      if (message.id === undefined) return void response.writeHead(202).end()
      return respond(everyone, message, response, serving)
    }
    if (method === 'initialize') {
      const id = randomUUID()
      /** @type {{ peer: import('./server.js').Peer, standalone: import('node:http').ServerResponse | undefined, waiting: object[] }} */
      const opened = { peer: serving.join(text => unrelated(text)), standalone: undefined, waiting: [] }
      const unrelated = (/** @type {object} */ text) => {
        if (opened.standalone) event(opened.standalone, text)
        else opened.waiting.push(text)
      }
      sessions.set(id, opened)
      response.setHeader('mcp-session-id', id)
      return respond(opened.peer, message, response, serving)
    }
    if (method === 'server/discover') return void response.writeHead(400).end()
    if (!session) return void response.writeHead(404).end()
    if (message.id === undefined || method === undefined) {
      response.writeHead(202).end()
      void serving.take(session.peer, message, () => {})
      return
    }
    respond(session.peer, message, response, serving)
  })
  server.keepAliveTimeout = 65_000
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const address = /** @type {import('node:net').AddressInfo} */ (server.address())
  console.log(`listening http://127.0.0.1:${address.port}/mcp`)
}

/**
 * Answers a request with JSON, or with a stream when something comes before the answer.
 *
 * @param {import('./server.js').Peer} peer
 * @param {any} message
 * @param {import('node:http').ServerResponse} response
 * @param {import('./server.js').Serving} serving
 */
function respond(peer, message, response, serving) {
  void serving.take(
    peer,
    // In the modern era ids of different connections may be equal.
    message,
    out => {
      if (response.writableEnded || response.destroyed) return
      const last = 'id' in out && !('method' in out)
      if (last && !response.headersSent) {
        response.setHeader('content-type', 'application/json')
        response.end(JSON.stringify(out))
        return
      }
      if (!response.headersSent) stream(response)
      event(response, out)
      if (last) response.end()
    },
    // Only in the modern era the end of a connection is that of its request.
    serving.modern ? gone => void response.on('close', gone) : undefined,
  )
}

/** @param {import('node:http').ServerResponse} response */
function stream(response) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
  response.flushHeaders()
}

/** @param {import('node:http').ServerResponse} response @param {object} message */
function event(response, message) {
  if (!response.destroyed) response.write(`event: message\ndata: ${JSON.stringify(message)}\n\n`)
}
