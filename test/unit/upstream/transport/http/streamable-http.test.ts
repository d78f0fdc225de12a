import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { SILENT } from '../../../../../src/core/logger.ts'
import { StreamableHttpTransport } from '../../../../../src/upstream/transport/http/streamable-http.ts'
import { HTTP_TRAITS } from '../../../../../src/upstream/transport/http/traits.ts'
import { Conversation, describeTransport } from '../../../../contract/transport.ts'
import { startRawServer, type RawServer, type RawServerOptions } from '../../../../fixtures/servers/raw.js'
import { freePort } from '../../../../helpers/served.ts'

const transportTo = (
  url: string,
  maxMessageBytes = 1_000_000,
  headers: Readonly<Record<string, string>> = {},
): StreamableHttpTransport =>
  new StreamableHttpTransport({
    server: 'peer',
    endpoint: { url, headers },
    maxMessageBytes,
    logger: SILENT,
  })

for (const answers of ['json', 'sse'] as const)
  describeTransport(`Streamable HTTP that answers with ${answers}`, {
    create: async ({ maxMessageBytes }) => {
      const server = await startRawServer({ answers })
      const { url, requests } = server
      return { transport: transportTo(url, maxMessageBytes), requests, stop: () => server.close() }
    },
    unreachable: async () => transportTo(`http://127.0.0.1:${await freePort()}/mcp`),
    traits: HTTP_TRAITS,
    drops: answers === 'json',
  })

describe('Streamable HTTP', () => {
  const closing: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const close of closing.splice(0).toReversed()) await close()
  })

  async function begin(
    options: RawServerOptions = {},
    headers: Readonly<Record<string, string>> = {},
  ): Promise<{ server: RawServer; peer: Conversation }> {
    const server = await startRawServer(options)
    closing.push(() => server.close())
    const peer = new Conversation(transportTo(server.url, undefined, headers))
    closing.push(() => peer.transport.close())
    await peer.begin()
    return { server, peer }
  }

  /** Opens the stream of what belongs to no request at a server that answers by hand. */
  async function listenTo(answer: RequestListener): Promise<void> {
    const listener = createServer(answer).listen(0, '127.0.0.1')
    await once(listener, 'listening')
    closing.push(async () => {
      listener.closeAllConnections()
      listener.close()
    })
    const { port } = listener.address() as AddressInfo
    const peer = new Conversation(transportTo(`http://127.0.0.1:${port}/mcp`, undefined, {}))
    closing.push(() => peer.transport.close())
    await peer.transport.open(peer.heard)
    peer.transport.use('2025-11-25')
    peer.transport.listen()
  }

  it('stamps session, revision and configured headers on every request after the first', async () => {
    const { server, peer } = await begin({}, { 'x-key': 'secret', authorization: 'Bearer t' })
    await peer.answer(peer.call('echo_raw'))
    const [first, ...later] = server.requests
    expect(first?.headers['mcp-session-id']).toBeUndefined()
    expect(first?.headers['mcp-protocol-version']).toBeUndefined()
    expect(first?.headers['accept']).toBe('application/json, text/event-stream')
    for (const { headers } of [first as (typeof later)[0], ...later])
      expect(headers).toMatchObject({
        'x-key': 'secret',
        authorization: 'Bearer t',
        'content-type': 'application/json',
      })
    for (const { headers } of later)
      expect(headers).toMatchObject({
        'mcp-session-id': expect.stringMatching(/./),
        'mcp-protocol-version': '2025-11-25',
      })
  })

  it('names the method in a header until the server has chosen a revision that has no such header', async () => {
    const { server, peer } = await begin()
    await peer.answer(peer.call('echo_raw'))
    const [initialize, ...later] = server.requests
    expect(initialize?.headers['mcp-method']).toBe('initialize')
    for (const { headers } of later) expect(headers['mcp-method']).toBeUndefined()
  })

  it('leaves configured headers out that are the protocol’s own', async () => {
    const { server, peer } = await begin({}, { Accept: 'text/html', 'MCP-Session-Id': 'mine', 'x-key': 'k' })
    await peer.answer(peer.call('echo_raw'))
    for (const { headers } of server.requests) {
      expect(headers['accept']).toBe('application/json, text/event-stream')
      expect(headers['mcp-session-id']).not.toBe('mine')
      expect(headers['x-key']).toBe('k')
    }
  })

  it('says when the session is lost, and fails what was refused as unsent', async () => {
    const { server, peer } = await begin()
    await server.until(() => server.received.some(text => text.includes('notifications/initialized')))
    server.forgetSessions()
    const id = peer.call('echo_raw')
    expect(await peer.heard.next()).toMatchObject({
      id,
      error: { code: 'session_lost', delivery: 'not_sent' },
    })
    expect(await peer.heard.next()).toEqual({ sessionLost: true })
  })

  it('ends its session when it closes', async () => {
    const { server, peer } = await begin()
    expect(server.sessions).toBe(1)
    await peer.transport.close()
    expect(server.sessions).toBe(0)
    await server.until(() => server.sockets === 0)
  })

  it('closes although the server takes the end of its session and says nothing', async () => {
    const { server, peer } = await begin()
    server.setRefusal({ status: 500 })
    await peer.transport.close()
    await server.until(() => server.sockets === 0)
  })

  it('listens for what belongs to no request, and again when that stream ends', async () => {
    const { server, peer } = await begin()
    peer.transport.listen()
    await server.until(() => server.streams === 1)
    server.listChanged('tools')
    const { text, stream } = await peer.heard.next()
    expect(JSON.parse(text ?? '{}')).toMatchObject({ method: 'notifications/tools/list_changed' })
    expect(stream).toBeUndefined()
    server.endStreams()
    await server.until(() => server.streams === 0)
    await server.until(() => server.streams === 1)
    expect(await peer.heard.next()).toEqual({ gap: true })
    server.listChanged('prompts')
    expect((await peer.heard.next()).text).toContain('notifications/prompts/list_changed')
  })

  it('opens the stream less and less often when a server asks for none of a pause', async () => {
    let opened = 0
    await listenTo((request, response) => {
      request.resume()
      if (request.method !== 'GET') return void response.writeHead(202).end()
      opened++
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end('retry: 0\n\n')
    })
    await new Promise(resolve => setTimeout(resolve, 2500))
    expect(opened).toBeGreaterThan(1)
    expect(opened).toBeLessThan(8)
  })

  it('sends an event id back as UTF-8, and none that no header can hold', async () => {
    const ids = ['größer 日', 'with\u0001control', 'plain']
    const resumed: (string | undefined)[] = []
    await listenTo((request, response) => {
      request.resume()
      if (request.method !== 'GET') return void response.writeHead(202).end()
      const given = request.headers['last-event-id']
      resumed.push(given && Buffer.from(String(given), 'latin1').toString())
      const id = ids.shift()
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.end(`retry: 10\n${id === undefined ? '' : `id: ${id}\n`}data: \n\n`)
    })
    for (let round = 0; round < 60 && resumed.length < 4; round++)
      await new Promise(resolve => setTimeout(resolve, 100))
    expect(resumed.slice(0, 4)).toEqual([undefined, 'größer 日', 'größer 日', 'plain'])
  })

  it('does not ask again for a stream that a server does not have', async () => {
    const { server, peer } = await begin()
    server.setRefusal({ status: 405 })
    const { length } = server.requests
    peer.transport.listen()
    await server.until(() => server.requests.length === length + 1)
    server.setRefusal(undefined)
    await peer.answer(peer.call('echo_raw'))
    expect(server.requests.filter(({ method }) => method === 'GET')).toHaveLength(1)
  })

  it('closes the stream of an abandoned request, which is its cancellation', async () => {
    const { server, peer } = await begin({ answers: 'sse' })
    const id = peer.call('hang')
    await server.until(() => server.received.some(text => text.includes('"hang"')))
    peer.heard.waiting.delete(id)
    peer.transport.abandon(id)
    await server.until(() => server.cancelled.length === 1)
    expect(server.cancelled).toEqual([{ id: String(id), how: 'disconnect' }])
  })

  it('sends the credentials of a URL as a header and not as part of the address', async () => {
    const server = await startRawServer()
    closing.push(() => server.close())
    const url = new URL(server.url)
    url.username = 'me'
    url.password = 'p w'
    const peer = new Conversation(transportTo(url.href))
    closing.push(() => peer.transport.close())
    await peer.begin()
    expect(server.requests[0]?.headers['authorization']).toBe(
      `Basic ${Buffer.from('me:p w').toString('base64')}`,
    )
  })

  it.each([
    { status: 502, delivery: 'unknown' },
    { status: 504, delivery: 'unknown' },
    { status: 503, delivery: 'not_sent' },
    { status: 429, delivery: 'not_sent' },
  ])('HTTP $status means $delivery', async ({ status, delivery }) => {
    const { server, peer } = await begin()
    server.setRefusal({ status, text: 'x' })
    const id = peer.call('echo_raw')
    const event = await peer.heard.next()
    expect(event).toMatchObject({ id, error: { code: 'upstream_unreachable', delivery } })
    expect(event.error?.message).toContain(`HTTP ${status}`)
  })
})
