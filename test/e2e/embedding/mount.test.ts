import { once } from 'node:events'
import { Agent, request as httpRequest } from 'node:http'
import type { IncomingMessage, RequestListener } from 'node:http'
import { createRequire } from 'node:module'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { describe, expect, test } from 'vitest'
import { createGateway, type ConfigObject, type Gateway } from '../../../src/index.ts'
import { host } from '../../helpers/host.ts'
import { openSession, post } from '../../helpers/http-client.ts'
import { assertNothingLeft, takeStock } from '../../helpers/leftovers.ts'
import { scriptedHttp, type ScriptedServer } from '../../helpers/scripted-servers.ts'
import { ModernHttp } from '../../helpers/wire-clients.ts'

/** The gateway as a part of HTTP servers that belong to other programs. */

type Middleware = (request: object, response: object, next: (error?: unknown) => void) => void
interface ExpressApp extends RequestListener {
  use(...parts: unknown[]): void
  get(path: string, answer: (request: object, response: { send(text: string): void }) => void): void
}
interface Express {
  (): ExpressApp
  json(options?: object): Middleware
  text(options?: object): Middleware
}
const express = createRequire(import.meta.url)('express') as Express

interface Embedded extends AsyncDisposable {
  readonly gateway: Gateway
  readonly upstream: ScriptedServer
}

async function embed(more: ConfigObject = {}): Promise<Embedded> {
  const before = takeStock()
  const upstream = await scriptedHttp()
  upstream.results.set('tools/call', '{"content":[{"type":"text","text":"done"}]}')
  const gateway = await createGateway({ mcpServers: { s: upstream.entry }, ...more })
  return {
    gateway,
    upstream,
    async [Symbol.asyncDispose]() {
      await gateway.close({ timeoutMs: 0 })
      await upstream[Symbol.asyncDispose]()
      await assertNothingLeft(before)
    },
  }
}

const LIST = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'

describe('a gateway in a server of node:http', () => {
  test('answers its own paths, and leaves the others to the program', async () => {
    await using embedded = await embed()
    const handler = embedded.gateway.handler()
    await using server = await host((request, response) =>
      handler(request, response, () => void response.end(`own ${request.url}`)),
    )
    const client = await openSession(server.origin)
    expect(await client.call('s__t')).toBe('done')
    expect(await (await fetch(`${server.origin}/orders?of=1`)).text()).toBe('own /orders?of=1')
    // These belong to a login of the program, which may have one.
    expect(await (await fetch(`${server.origin}/authorize`)).text()).toBe('own /authorize')
    expect((await fetch(`${server.origin}/healthz`)).status).toBe(200)
    expect(embedded.gateway.status()).toMatchObject({
      ready: true,
      sessions: 1,
      calls: 0,
      servers: [{ name: 's' }],
    })
  })

  test('answers an unknown path with 404 where no other handler follows', async () => {
    await using embedded = await embed()
    await using server = await host(embedded.gateway.handler())
    const response = await fetch(`${server.origin}/orders`)
    expect(response.status).toBe(404)
    expect(await response.text()).toContain('the MCP endpoint is /mcp')
  })

  test('is behind a prefix for clients of every kind', async () => {
    await using embedded = await embed()
    const handler = embedded.gateway.handler({ prefix: '/tools/gw' })
    await using server = await host((request, response) =>
      handler(request, response, () => void response.end(`own ${request.url}`)),
    )
    const base = `${server.origin}/tools/gw`
    expect(await (await openSession(base)).call('s__t')).toBe('done')
    expect(await (await openSession(base, 's')).call('t')).toBe('done')
    await using modern = new ModernHttp(base)
    expect(await modern.request('1', 'tools/call', '{"name":"s__t","arguments":{}}')).toContain('done')
    const deprecated = new Client({ name: 'old', version: '1' })
    await deprecated.connect(new SSEClientTransport(new URL(`${base}/sse`)) as Transport)
    expect(await deprecated.callTool({ name: 's__t' })).toMatchObject({ content: [{ text: 'done' }] })
    await deprecated.close()
    expect(await (await fetch(`${server.origin}/mcp`)).text()).toBe('own /mcp')
    expect(await (await fetch(`${server.origin}/tools/gwen/mcp`)).text()).toBe('own /tools/gwen/mcp')
  })

  test('leaves the connections of the program open when it closes, and says that it is closed', async () => {
    await using embedded = await embed()
    const handler = embedded.gateway.handler()
    await using server = await host((request, response) =>
      handler(request, response, () => void response.end(String(request.socket.remotePort))),
    )
    using agent = disposable(new Agent({ keepAlive: true, maxSockets: 1 }))
    const get = (path: string): Promise<Answered> => ask(agent, server.port, path)
    const { body: connection } = await get('/port')
    await get('/healthz')
    const session = await openSession(server.origin)
    await using listening = await session.listen()
    await embedded.gateway.close()
    await expect(listening.next('any')).rejects.toThrow('ended')
    const refused = await get('/mcp')
    expect(refused.status).toBe(503)
    expect(refused.body).toContain('shutting down')
    expect((await get('/port')).body).toBe(connection)
  })

  test('leaves upgrades to the program', async () => {
    await using embedded = await embed()
    await using server = await host(embedded.gateway.handler(), socket => {
      socket.end('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: own\r\n\r\n')
    })
    const outgoing = httpRequest({
      port: server.port,
      host: '127.0.0.1',
      path: '/mcp',
      headers: { connection: 'upgrade', upgrade: 'own' },
    })
    outgoing.end()
    const [response, socket] = (await once(outgoing, 'upgrade')) as [{ headers: object }, { destroy(): void }]
    socket.destroy()
    expect(response.headers).toMatchObject({ upgrade: 'own' })
  })

  test('and another gateway beside it each answer what is theirs on one connection', async () => {
    await using one = await embed()
    await using other = await embed()
    one.upstream.results.set('tools/call', '{"content":[{"type":"text","text":"one"}]}')
    other.upstream.results.set('tools/call', '{"content":[{"type":"text","text":"other"}]}')
    const first = one.gateway.handler({ prefix: '/one' })
    const second = other.gateway.handler({ prefix: '/other' })
    await using server = await host((request, response) =>
      first(request, response, () => second(request, response)),
    )
    using agent = disposable(new Agent({ keepAlive: true, maxSockets: 1 }))
    const call = (at: string): Promise<Answered> => ask(agent, server.port, `/${at}/mcp`, MODERN_CALL)
    expect((await call('one')).body).toContain('"text":"one"')
    expect((await call('other')).body).toContain('"text":"other"')
    await one.gateway.close({ timeoutMs: 0 })
    expect((await call('other')).body).toContain('"text":"other"')
  })
})

describe('a gateway in express', () => {
  test('is a middleware, whatever path it is used at', async () => {
    await using embedded = await embed()
    const app = express()
    app.get('/before', (_, response) => response.send('before'))
    app.use('/mcp', embedded.gateway.handler())
    app.use('/gw', embedded.gateway.handler({ prefix: '/gw' }))
    app.use(embedded.gateway.handler({ prefix: '/at/root' }))
    app.get('/after', (_, response) => response.send('after'))
    await using server = await host(app)
    for (const at of ['', '/gw', '/at/root'])
      expect(await (await openSession(server.origin + at)).call('s__t')).toBe('done')
    expect(await (await fetch(`${server.origin}/before`)).text()).toBe('before')
    expect(await (await fetch(`${server.origin}/after`)).text()).toBe('after')
    expect((await fetch(`${server.origin}/gw/nothing`)).status).toBe(404)
  })

  test('says what to do where the body was parsed before it', async () => {
    await using embedded = await embed()
    const app = express()
    app.use(express.json())
    app.use(embedded.gateway.handler())
    await using server = await host(app)
    const response = await post(`${server.origin}/mcp`, LIST)
    expect(response.status).toBe(500)
    expect(await response.text()).toContain('Mount the gateway in front of what parses bodies')
  })

  test('takes the bytes of a body that were kept, and no number in them changes', async () => {
    await using embedded = await embed()
    const app = express()
    const verify = (request: { rawBody?: unknown }, _: unknown, bytes: Buffer): void => {
      request.rawBody = bytes
    }
    app.use('/kept', express.json({ verify }))
    app.use('/text', express.text({ type: 'application/json' }))
    app.use(embedded.gateway.handler({ prefix: '/kept' }))
    app.use(embedded.gateway.handler({ prefix: '/text' }))
    await using server = await host(app)
    for (const at of ['/kept', '/text']) {
      await using modern = new ModernHttp(server.origin + at)
      await modern.request(
        '1',
        'tools/call',
        '{"name":"s__t","arguments":{"n":12345678901234567890,"f":1.0}}',
      )
      await embedded.upstream.messages.take(
        text => text.includes('{"n":12345678901234567890,"f":1.0}'),
        'the call as it was written',
      )
    }
  })
})

interface Answered {
  readonly status: number | undefined
  readonly body: string
}

const MODERN_CALL = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: {
    name: 's__t',
    arguments: {},
    _meta: {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
      'io.modelcontextprotocol/clientCapabilities': {},
    },
  },
})

async function ask(agent: Agent, port: number, path: string, body?: string): Promise<Answered> {
  const headers = {
    'content-type': 'application/json',
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': 'tools/call',
    'mcp-name': 's__t',
  }
  const outgoing = httpRequest({
    agent,
    port,
    host: '127.0.0.1',
    path,
    method: body === undefined ? 'GET' : 'POST',
    headers: body === undefined ? {} : headers,
  })
  outgoing.end(body)
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += chunk
  return { status: response.statusCode, body: text }
}

function disposable(agent: Agent): Agent & Disposable {
  return Object.assign(agent, { [Symbol.dispose]: () => agent.destroy() })
}
