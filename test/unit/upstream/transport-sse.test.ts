import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { SILENT } from '../../../src/core/logger.ts'
import { SseTransport } from '../../../src/upstream/sse.ts'
import { Conversation, describeTransport } from '../../contract/transport.ts'
import { startRawServer } from '../../fixtures/servers/raw.js'
import { freePort } from '../../helpers/served.ts'

const transportTo = (url: string, maxMessageBytes = 1_000_000): SseTransport =>
  new SseTransport({
    server: 'peer',
    endpoint: { kind: 'http', url, headers: { 'x-key': 'secret' }, transport: 'sse' },
    maxMessageBytes,
    logger: SILENT,
  })

describeTransport('deprecated HTTP+SSE', {
  create: async ({ maxMessageBytes }) => {
    const server = await startRawServer({ transport: 'sse' })
    return { transport: transportTo(server.url, maxMessageBytes), stop: () => server.close() }
  },
  unreachable: async () => transportTo(`http://127.0.0.1:${await freePort()}/sse`),
  during: 'unattributed',
  exact: false,
})

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
})
