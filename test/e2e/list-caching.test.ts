import { expect, onTestFinished, test } from 'vitest'
import { createMemoryStore } from '../../src/state/memory.ts'
import { startRawServer, type RawServer } from '../fixtures/servers/raw.js'
import { startGateway } from '../helpers/gateway.ts'
import { openSession, post } from '../helpers/http-client.ts'
import { HeldClock } from '../helpers/held-clock.ts'

/** How long lists may be kept: what servers say of theirs, and what the gateway says of its own. */

const tool = (name: string): string => `{"name":"${name}","inputSchema":{"type":"object"}}`

async function modern(): Promise<RawServer> {
  const server = await startRawServer({ era: 'modern' })
  onTestFinished(() => server.close())
  return server
}

/** What the server answers to `tools/list` from now on. */
function offer(server: RawServer, name: string, caching: string): void {
  server.answers.set('tools/list', `"result":{"resultType":"complete","tools":[${tool(name)}],${caching}}`)
}

async function ask(
  origin: string,
  method: string,
  headers: Record<string, string> = {},
): Promise<{ ttlMs: number; cacheScope: string; tools?: { name: string }[] }> {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
    'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
  }
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { _meta: meta } })
  const response = await post(`${origin}/mcp`, body, {
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': method,
    ...headers,
  })
  const { result } = (await response.json()) as { result: { ttlMs: number; cacheScope: string } }
  return result
}

const listings = (server: RawServer): number =>
  server.received.filter(text => text.includes('"tools/list"')).length

/** A server that has just been started is listed once more. */
async function started(server: RawServer): Promise<number> {
  await expect.poll(() => listings(server)).toBe(2)
  return 2
}

test('a list past its time to live is fetched anew in the background of a request, and not too often', async () => {
  const server = await modern()
  offer(server, 'old', '"ttlMs":50,"cacheScope":"public"')
  await using served = await startGateway({ mcpServers: { s: { url: server.url } } })
  const client = await openSession(served.origin)
  expect(await client.names('tools')).toEqual(['s__old'])
  const before = await started(server)
  using clock = new HeldClock()
  offer(server, 'new', '"ttlMs":50,"cacheScope":"public"')
  // The first one that asks after that still gets what is known, at once.
  clock.advance(60)
  expect(await client.names('tools')).toEqual(['s__old'])
  await expect.poll(() => client.names('tools')).toEqual(['s__new'])
  // Its time is over again, but it was just fetched.
  clock.advance(60)
  for (let at = 0; at < 20; at++) await client.names('tools')
  await served.gateway.close()
  expect(listings(server)).toBe(before + 1)
})

test('a server that gives its lists no time is not asked again and again', async () => {
  const server = await modern()
  offer(server, 'a', '"ttlMs":0,"cacheScope":"public"')
  await using served = await startGateway({ mcpServers: { s: { url: server.url } } })
  const client = await openSession(served.origin)
  await client.names('tools')
  const before = await started(server)
  using _ = new HeldClock()
  for (let at = 0; at < 20; at++) await client.names('tools')
  await served.gateway.close()
  expect(listings(server)).toBe(before)
})

test('modern clients get the time to live and the scope of a list, from the first start to the next', async () => {
  const [a, b] = [await modern(), await modern()]
  offer(a, 'x', '"ttlMs":60000,"cacheScope":"public"')
  offer(b, 'y', '"ttlMs":30000,"cacheScope":"public"')
  for (const server of [a, b])
    server.answers.set(
      'server/discover',
      '"result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":90000,"cacheScope":"public"}',
    )
  const store = createMemoryStore()
  onTestFinished(() => store.close())
  const file = { mcpServers: { a: { url: a.url }, b: { url: b.url } } }
  for (let run = 0; run < 2; run++) {
    const kept = { ...store, name: 'kept', get: store.get.bind(store), getMany: store.getMany.bind(store) }
    const shared = {
      ...kept,
      set: store.set.bind(store),
      delete: store.delete.bind(store),
      keys: store.keys.bind(store),
      take: store.take.bind(store),
      hold: store.hold.bind(store),
      close: async () => undefined,
    }
    await using served = await startGateway(file, { store: shared })
    expect(await ask(served.origin, 'tools/list')).toMatchObject({ ttlMs: 30_000, cacheScope: 'public' })
    expect(await ask(served.origin, 'server/discover')).toMatchObject({
      ttlMs: 90_000,
      cacheScope: 'public',
    })
  }

  offer(b, 'y', '"ttlMs":60000,"cacheScope":"private"')
  await using served = await startGateway(file)
  expect(await ask(served.origin, 'tools/list')).toMatchObject({ ttlMs: 60_000, cacheScope: 'private' })
})

test('where callers see different lists, a list has the scope of one client', async () => {
  const server = await modern()
  offer(server, 'x', '"ttlMs":60000,"cacheScope":"public"')
  const legacy = await startRawServer()
  onTestFinished(() => legacy.close())
  await using served = await startGateway({
    mcpServers: { s: { url: server.url } },
    clients: { all: { users: ['all'] }, none: { users: ['none'], deny: ['tool:s/x'] } },
    gateway: { auth: { proxy: { header: 'x-user', from: ['127.0.0.1'] } } },
  })
  const seen = async (user: string): Promise<unknown> => {
    const { tools = [], ...caching } = await ask(served.origin, 'tools/list', { 'x-user': user })
    return [tools.length, caching.ttlMs, caching.cacheScope]
  }
  expect([await seen('all'), await seen('none')]).toEqual([
    [1, 60_000, 'private'],
    [0, 60_000, 'private'],
  ])

  await using plain = await startGateway({
    mcpServers: { s: { url: server.url }, old: { url: legacy.url } },
    gateway: { catalog: { ttl: '10s' } },
  })
  expect(await ask(plain.origin, 'tools/list')).toMatchObject({ ttlMs: 10_000, cacheScope: 'public' })
})
