import { createServer, type RequestListener } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { SILENT } from '../../../../../src/core/logger.ts'
import { SseTransport } from '../../../../../src/upstream/transport/sse/sse.ts'
import { SSE_TRAITS } from '../../../../../src/upstream/transport/sse/traits.ts'
import { Conversation, describeTransport } from '../../../../contract/transport.ts'
import { startRawServer } from '../../../../fixtures/servers/raw.js'
import { freePort } from '../../../../helpers/served.ts'

const transportTo = (url: string, maxMessageBytes = 1_000_000): SseTransport =>
  new SseTransport({
    server: 'peer',
    endpoint: { url, headers: { 'x-key': 'secret' } },
    maxMessageBytes,
    logger: SILENT,
  })

describeTransport('deprecated HTTP+SSE', {
  create: async ({ maxMessageBytes }) => {
    const server = await startRawServer({ transport: 'sse' })
    const { url, requests } = server
    return { transport: transportTo(url, maxMessageBytes), requests, stop: () => server.close() }
  },
  unreachable: async () => transportTo(`http://127.0.0.1:${await freePort()}/sse`),
  traits: SSE_TRAITS,
})

/** A server of the test's own; resolves with its origin. */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe('deprecated HTTP+SSE', () => {
  it('sends configured headers with the stream and with every message', async () => {
    const server = await startRawServer({ transport: 'sse' })
    onTestFinished(() => server.close())
    const peer = new Conversation(transportTo(server.url))
    onTestFinished(() => peer.transport.close())
    await peer.begin()
    await peer.answer(peer.call('echo_raw'))
    expect(new Set(server.requests.map(({ method }) => method))).toEqual(new Set(['GET', 'POST']))
    for (const { headers } of server.requests) expect(headers['x-key']).toBe('secret')
  })

  it('keeps no connection when it is closed', async () => {
    const server = await startRawServer({ transport: 'sse' })
    onTestFinished(() => server.close())
    const peer = new Conversation(transportTo(server.url))
    await peer.begin()
    await peer.transport.close()
    await server.until(() => server.sockets === 0, 1000)
  })

  it('says once that it is gone when the stream breaks', async () => {
    const server = await startRawServer({ transport: 'sse' })
    onTestFinished(() => server.close())
    const peer = new Conversation(transportTo(server.url))
    onTestFinished(() => peer.transport.close())
    await peer.begin()
    server.endStreams()
    expect(await peer.heard.next()).toMatchObject({
      closed: true,
      error: { code: 'upstream_closed', server: 'peer' },
    })
    await server.until(() => server.streams === 0)
    expect(peer.heard.events.filter(({ closed }) => closed)).toHaveLength(1)
  })

  it.each([401, 403])('names the credentials as the cause of HTTP %i', async status => {
    const server = await startRawServer({ transport: 'sse' })
    onTestFinished(() => server.close())
    server.setRefusal({ status })
    const peer = new Conversation(transportTo(server.url))
    await expect(peer.transport.open(peer.heard)).rejects.toMatchObject({
      code: 'upstream_unauthorized',
      message: expect.stringMatching(/"peer".*"headers.Authorization"/),
    })
    await server.until(() => server.sockets === 0, 1000)
  })

  it('can be closed while the server still owes the address for messages', async () => {
    const server = createServer((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.flushHeaders()
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const peer = new Conversation(
      transportTo(`http://127.0.0.1:${(server.address() as AddressInfo).port}/sse`),
    )
    const connected = once(server, 'request')
    const opening = peer.transport.open(peer.heard)
    await connected
    await peer.transport.close()
    await expect(opening).rejects.toMatchObject({ server: 'peer' })
  })

  it('keeps every byte of what a server says unasked', async () => {
    const said =
      '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":{"2":1.0,"1":9223372036854775807}}}'
    const origin = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(`event: endpoint\ndata: /messages\n\ndata: ${said}\n\n`)
    })
    const peer = new Conversation(transportTo(`${origin}/sse`))
    onTestFinished(() => peer.transport.close())
    await peer.transport.open(peer.heard)
    expect((await peer.heard.next()).text).toBe(said)
  })

  it.each(['https://127.0.0.1:1/messages', 'http://other.example/messages', 'http://[', '//evil.example/m'])(
    'sends no message to %s, which is of another origin',
    async address => {
      const origin = await serve((_, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write(`event: endpoint\ndata: ${address}\n\n`)
      })
      const peer = new Conversation(transportTo(`${origin}/sse`))
      await expect(peer.transport.open(peer.heard)).rejects.toMatchObject({
        code: 'upstream_protocol',
        message: expect.stringMatching(/"peer".*only http:\/\/127\.0\.0\.1:\d+.*Fix/),
      })
    },
  )

  it('ends when the server wants messages at another origin later', async () => {
    const origin = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('event: endpoint\ndata: /a\n\nevent: endpoint\ndata: http://other.example/b\n\n')
    })
    const peer = new Conversation(transportTo(`${origin}/sse`))
    await peer.transport.open(peer.heard).catch(() => undefined)
    expect(await peer.heard.next()).toMatchObject({ closed: true, error: { code: 'upstream_protocol' } })
    await peer.transport.close()
  })

  it('follows redirects within the origin, with its headers, and no others', async () => {
    const seen: string[] = []
    const origin = await serve((request, response) => {
      seen.push(`${request.method} ${request.url} ${request.headers['x-key']}`)
      request.resume()
      if (request.url === '/sse') return void response.writeHead(302, { location: '/stream' }).end()
      if (request.url === '/in') return void response.writeHead(307, { location: '/messages' }).end()
      if (request.url === '/messages') return void response.writeHead(202).end()
      if (request.url === '/out')
        return void response.writeHead(307, { location: 'http://other.example/' }).end()
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('event: endpoint\ndata: /in\n\n')
    })
    const peer = new Conversation(transportTo(`${origin}/sse`))
    onTestFinished(() => peer.transport.close())
    await peer.transport.open(peer.heard)
    peer.notify('notifications/example')
    await expect.poll(() => seen.length).toBe(4)
    expect(seen).toEqual([
      'GET /sse secret',
      'GET /stream secret',
      'POST /in secret',
      'POST /messages secret',
    ])
    const other = new Conversation(transportTo(`${origin}/out`))
    await expect(other.transport.open(other.heard)).rejects.toMatchObject({
      code: 'upstream_unreachable',
      message: expect.stringContaining('HTTP 307'),
    })
  })

  it.each([500, 202])('reads no endless body after HTTP %i', async status => {
    let posted: Promise<unknown> | undefined
    const origin = await serve((request, response) => {
      if (request.method === 'GET') {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write('event: endpoint\ndata: /messages\n\n')
        return
      }
      request.resume()
      posted = once(response, 'close')
      response.writeHead(status, { 'content-type': 'text/plain', 'content-encoding': 'gzip' })
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(64 * 1024)));
      }
      response.on('drain', more)
      more()
    })
    const peer = new Conversation(transportTo(`${origin}/sse`))
    onTestFinished(() => peer.transport.close())
    await peer.transport.open(peer.heard)
    const id = peer.call('t')
    if (status === 500)
      expect(await peer.heard.next()).toMatchObject({
        id,
        error: { code: 'upstream_unreachable', delivery: 'unknown' },
      })
    await expect.poll(() => posted).toBeDefined()
    await posted
  })

  it('takes a compressed error body as it is, and quotes the beginning of it', async () => {
    const bomb = gzipSync(Buffer.alloc(50 * 1024 * 1024))
    const origin = await serve((_, response) => {
      response.writeHead(503, { 'content-encoding': 'gzip', 'retry-after': '7' }).end(bomb)
    })
    const peer = new Conversation(transportTo(`${origin}/sse`))
    const error: unknown = await peer.transport.open(peer.heard).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'upstream_unreachable' })
    expect(String((error as Error).cause).length).toBeLessThan(500)
  })

  it('goes on after an event that is too large', async () => {
    const origin = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('event: endpoint\ndata: /messages\n\n')
      response.write(
        `data: {"jsonrpc":"2.0","id":5,"result":"${'x'.repeat(200_000)}"}\n\ndata: {"after":1}\n\n`,
      )
    })
    const peer = new Conversation(transportTo(`${origin}/sse`, 100_000))
    onTestFinished(() => peer.transport.close())
    peer.heard.waiting.add(5)
    await peer.transport.open(peer.heard)
    expect(await peer.heard.next()).toMatchObject({ id: 5, error: { code: 'too_large' } })
    expect((await peer.heard.next()).text).toBe('{"after":1}')
  })
})
