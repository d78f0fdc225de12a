import { mkdtempSync, existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { rawAt } from '../../../../src/protocol/json-text.ts'
import { openSession } from '../../../helpers/http-client.ts'
import { toolText } from '../../../helpers/scripted-servers.ts'
import { http, JSON_HEADERS, LegacySession, ModernHttp, requestText } from '../../../helpers/wire-clients.ts'
import { call, ofGateway, ofServer, scene, tools, type KeyTests, type Look } from './change.ts'
import { twoCalls } from './two-calls.ts'

/** What a change of each key of the gateway does, and of the keys that limit calls. */

const FOLDER = mkdtempSync(join(tmpdir(), 'every-key-'))

/** Status of a request with these headers, of about so many bytes. */
const status =
  (headers: Readonly<Record<string, string>>, bytes = 0): Look =>
  async ({ origin }) => {
    const params = `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"${'x'.repeat(bytes)}","version":"1"}}`
    const response = await http(`${origin}/mcp`, {
      headers: { ...JSON_HEADERS, ...headers },
      body: requestText('0', 'initialize', params),
    })
    await response.body
    return response.status
  }

/** A look at a server with these tools. */
const withTools =
  (names: readonly string[], look: Look): Look =>
  async scene => {
    scene.server.results.set('tools/list', `{"tools":[${names.map(name => toolText(name)).join(',')}]}`)
    scene.server.say('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}')
    return await look(scene)
  }

const modernList: Look = async ({ origin }) => {
  await using client = new ModernHttp(origin)
  return await client.request('1', 'tools/list')
}

/** Whether the first of two sessions is still there. */
const twoSessions: Look = async ({ origin }) => {
  const first = await LegacySession.open(origin)
  const second = await LegacySession.open(origin).catch(() => undefined)
  const answer = await first.request('1', 'ping')
  await first[Symbol.asyncDispose]()
  await second?.[Symbol.asyncDispose]()
  return second !== undefined && answer.includes('"result"')
}

/** Whether there is an audit file, after a call. */
const audited =
  (file: string): Look =>
  async scene => {
    await call()(scene)
    return existsSync(file)
  }

const listings = (messages: readonly string[]): number =>
  messages.filter(text => text.includes('"tools/list"')).length

/** Lists of a server that says nothing of changes are fetched again. */
const refreshAfter = scene(
  { gateway: { catalog: { refreshAfter: 'never' } } },
  async ({ gateway, server, turn }) => {
    await gateway.warmUp()
    const before = listings(server.messages.all)
    await turn({ catalog: { refreshAfter: '1s' } })
    await expect.poll(() => listings(server.messages.all), POLL).toBeGreaterThan(before + 1)
  },
)

/** A list is answered although the server has never been listed. */
const firstListTimeout = scene(
  { gateway: { catalog: { firstListTimeout: '10m' } } },
  async ({ server, origin, turn }) => {
    server.results.delete('tools/list')
    await turn({ catalog: { firstListTimeout: '100ms' } })
    expect(await (await openSession(origin)).names('tools')).toEqual([])
  },
)
const POLL = { timeout: 10_000, interval: 100 }
const FIRST = join(FOLDER, 'first.jsonl')
const SECOND = join(FOLDER, 'second.jsonl')

export const GATEWAY_KEYS: KeyTests = {
  'mcpServers.*.maxConcurrentCalls': ofServer({}, { maxConcurrentCalls: 1 }, twoCalls(), ['both', 'waits']),
  'mcpServers.*.queue': ofServer(
    { maxConcurrentCalls: 1, queue: 10 },
    { maxConcurrentCalls: 1, queue: 0 },
    twoCalls(),
    ['waits', 'refused'],
  ),
  'mcpServers.*.queueTimeout': ofServer(
    { maxConcurrentCalls: 1, queueTimeout: '1m' },
    { maxConcurrentCalls: 1, queueTimeout: '100ms' },
    twoCalls(),
    ['waits', 'refused'],
  ),
  'mcpServers.*.tools.*.concurrency': ofServer({}, { tools: { t: { concurrency: 1 } } }, twoCalls(), [
    'both',
    'refused',
  ]),
  'gateway.maxConcurrentCalls': ofGateway({}, { maxConcurrentCalls: 1 }, twoCalls(), ['both', 'waits']),
  'gateway.queue': ofGateway(
    { maxConcurrentCalls: 1, queue: 10 },
    { maxConcurrentCalls: 1, queue: 0 },
    twoCalls(),
    ['waits', 'refused'],
  ),
  'gateway.catalog.maxNameLength': ofGateway(
    { catalog: { maxNameLength: 64 } },
    { catalog: { maxNameLength: 20 } },
    withTools(['a-name-that-is-longer-than-twenty'], async scene =>
      ((await tools(scene)) as string[]).map(name => name.length > 20),
    ),
    [[true], [false]],
  ),
  'gateway.catalog.pageSize': ofGateway(
    {},
    { catalog: { pageSize: 1 } },
    withTools(
      ['t', 'u'],
      async scene => rawAt(String(await modernList(scene)), 'result', 'nextCursor') !== undefined,
    ),
    [false, true],
  ),
  'gateway.catalog.ttl': ofGateway(
    { catalog: { ttl: '10s' } },
    { catalog: { ttl: '20s' } },
    async scene => rawAt(String(await modernList(scene)), 'result', 'ttlMs'),
    ['10000', '20000'],
  ),
  'gateway.catalog.refreshAfter': refreshAfter,
  'gateway.catalog.firstListTimeout': firstListTimeout,
  'gateway.http.maxBody': ofGateway({}, { http: { port: 0, maxBody: '1KiB' } }, status({}, 2000), [200, 413]),
  'gateway.http.allowedHosts': ofGateway(
    {},
    { http: { port: 0, allowedHosts: ['gateway.example'] } },
    status({ host: 'gateway.example' }),
    [403, 200],
  ),
  'gateway.http.allowedOrigins': ofGateway(
    {},
    { http: { port: 0, allowedOrigins: ['https://app.example'] } },
    status({ origin: 'https://app.example' }),
    [403, 200],
  ),
  'gateway.http.maxSessions': ofGateway({}, { http: { port: 0, maxSessions: 1 } }, twoSessions, [
    true,
    false,
  ]),
  'gateway.audit.file': ofGateway({ audit: { file: FIRST } }, { audit: { file: SECOND } }, audited(SECOND), [
    false,
    true,
  ]),
}
