import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { SILENT } from '../../../../../src/core/logger.ts'
import { StreamableHttpTransport } from '../../../../../src/upstream/transport/http/streamable-http.ts'
import { Conversation } from '../../../../contract/transport.ts'
import { freePort } from '../../../../helpers/served.ts'

/** How far a request got is told by what happened to its connection: real sockets, one way to break for each test. */

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function conversation(url: string): Promise<Conversation> {
  const endpoint = { url, headers: {} }
  const peer = new Conversation(
    new StreamableHttpTransport({ server: 'peer', endpoint, maxMessageBytes: 1_000_000, logger: SILENT }),
  )
  onTestFinished(() => peer.transport.close())
  await peer.transport.open(peer.heard)
  return peer
}

/** A conversation with a server that does `serve` with each connection. */
async function withSockets(serve: (socket: Socket) => void): Promise<Conversation> {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    serve(socket)
  })
  const port = await listening(server)
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  return await conversation(`http://127.0.0.1:${port}/mcp`)
}

const ANSWER = (id: number): string => {
  const body = `{"jsonrpc":"2.0","id":${id},"result":{}}`
  return `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
}

describe('a request over HTTP', () => {
  it('was not sent when the connection is refused', async () => {
    const peer = await conversation(`http://127.0.0.1:${await freePort()}/mcp`)
    const id = peer.call('x')
    expect(await peer.heard.next()).toMatchObject({
      id,
      error: { code: 'upstream_unreachable', delivery: 'not_sent' },
    })
  })

  it('was not sent when no TLS connection comes about', async () => {
    const server = createServer(socket => {
      socket.on('error', () => {})
      socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    })
    const port = await listening(server)
    onTestFinished(() => void server.close())
    const peer = await conversation(`https://127.0.0.1:${port}/mcp`)
    const id = peer.call('x')
    const { error, ...rest } = await peer.heard.next()
    expect(rest).toMatchObject({ id })
    expect(error).toMatchObject({ code: 'upstream_unreachable', delivery: 'not_sent' })
    expect(error?.message).toMatch(/"peer" cannot be reached \(\w*SSL\w*\)/)
  })

  it.each([
    {
      what: 'the connection is reset after the request',
      serve: (socket: Socket) => void socket.once('data', () => socket.resetAndDestroy()),
    },
    {
      what: 'the connection ends after the request',
      serve: (socket: Socket) => void socket.once('data', () => socket.end()),
    },
    {
      what: 'the connection breaks in the head of the answer',
      serve: (socket: Socket) => void socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-ty')),
    },
    {
      what: 'the connection breaks in the answer',
      serve: (socket: Socket) => void socket.once('data', () => socket.end(ANSWER(1).slice(0, -5))),
    },
  ])('may have been run when $what', async ({ serve }) => {
    const peer = await withSockets(serve)
    const id = peer.call('x')
    const event = await peer.heard.next()
    expect(event).toMatchObject({ id, error: { code: 'upstream_unreachable', delivery: 'unknown' } })
    expect(event.error?.message).toContain('"peer"')
  })

  it('fails at once when the connection is reset before a byte is read', async () => {
    const peer = await withSockets(socket => void socket.resetAndDestroy())
    const id = peer.call('x')
    // Whether it was being written already is a matter of microseconds, and of what may be said of it.
    expect(await peer.heard.next()).toMatchObject({ id, error: { code: 'upstream_unreachable' } })
  })

  it('may have been run when a connection that served before is closed under it, and is not sent twice', async () => {
    let requests = 0
    const peer = await withSockets(socket =>
      socket.on('data', () => {
        if (++requests === 1) socket.write(ANSWER(1))
        else socket.resetAndDestroy()
      }),
    )
    await peer.answer(peer.call('x'))
    const id = peer.call('x')
    expect(await peer.heard.next()).toMatchObject({ id, error: { delivery: 'unknown' } })
    expect(requests).toBe(2)
  })
})

describe('an idle connection', () => {
  it.each([
    { hint: 'with a hint of it', headers: {} },
    // Then the interval is the client's to guess: it has to be shorter than what servers do.
    { hint: 'that servers close without a hint after five seconds', headers: { 'keep-alive': '' } },
  ])(
    'of a server that closes them after a while, $hint, is not used at the wrong moment',
    async ({ headers }) => {
      const hinted = Object.keys(headers).length === 0
      const server = createHttpServer({ keepAliveTimeout: hinted ? 1000 : 5000 }, (request, response) => {
        let text = ''
        request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        request.on('end', () => {
          const { id } = JSON.parse(text) as { id: number }
          response.writeHead(200, { 'content-type': 'application/json', ...headers })
          response.end(`{"jsonrpc":"2.0","id":${id},"result":{}}`)
        })
      })
      const port = await listening(server)
      onTestFinished(() => {
        server.closeAllConnections()
        server.close()
      })
      // Calls at, just before and just after the moment at which the server closes. Many at a time, so that the moment is hit.
      const idle = hinted ? 1000 : 5000
      await Promise.all(
        Array.from({ length: 21 }, async (_, n) => {
          const peer = await conversation(`http://127.0.0.1:${port}/mcp`)
          for (let call = 0; call < (hinted ? 3 : 2); call++) {
            if (call > 0) await new Promise(resolve => setTimeout(resolve, idle - 10 + n))
            await peer.answer(peer.call('x'))
          }
        }),
      )
    },
  )
})
