import { PassThrough } from 'node:stream'
import { expect } from 'vitest'
import type { WatchedSource } from '../../../../src/config/source/config-source.ts'
import { FileSource } from '../../../../src/config/source/file-source.ts'
import { readConfig, type ReadRequest } from '../../../../src/config/source/reading.ts'
import { Reloader } from '../../../../src/config/source/reloader.ts'
import { SILENT } from '../../../../src/core/logger.ts'
import { buildGateway } from '../../../../src/gateway/gateway.ts'
import { createLogger } from '../../../../src/observe/logger.ts'
import { rawAt } from '../../../../src/protocol/json-text.ts'
import { createMemoryStore } from '../../../../src/state/memory.ts'
import type { Store } from '../../../../src/state/store.ts'
import { startRawServer } from '../../../fixtures/servers/raw.js'
import { bearer, keyOf, withKeys } from '../../../helpers/callers.ts'
import { startDnsServer } from '../../../helpers/dns-server.ts'
import { startGateway } from '../../../helpers/gateway.ts'
import { openSession } from '../../../helpers/http-client.ts'
import { makeScratch } from '../../../helpers/scratch.ts'
import { scriptedHttp, type ScriptedServer } from '../../../helpers/scripted-servers.ts'
import { LegacySession, StdioClient } from '../../../helpers/wire-clients.ts'
import { reload, scene, type File, type KeyTest, type KeyTests } from './change.ts'

/** What a change of each key of the gateway itself does to what runs: calls, links, look-ups, the log. */

const POLL = { timeout: 10_000, interval: 50 }
const EMPTY = '"result":{"content":[]}'
const WELL = '{"content":[{"type":"text","text":"well"}]}'
const headersOf = (name: string): Record<string, string> => bearer(keyOf(name)) as Record<string, string>
const callsAt = ({ messages }: ScriptedServer): number =>
  messages.all.filter(text => text.includes('"tools/call"')).length

/** Of the first four calls of two clients that wait, how many are of the first client. */
const weight: KeyTest = async () => {
  await using server = await scriptedHttp()
  const file = (own: number): File => ({
    mcpServers: { a: { ...server.entry, maxConcurrentCalls: 1 } },
    clients: withKeys({ ci: { weight: own }, other: {} }),
  })
  await using running = await startGateway(file(1))
  const open = (name: string): Promise<LegacySession> =>
    LegacySession.open(running.origin, { headers: headersOf(name) })
  await using ci = await open('ci')
  await using other = await open('other')
  let id = 0
  const turns = async (): Promise<number> => {
    const call = (client: LegacySession, who: string): Promise<string> =>
      client.request(String(++id), 'tools/call', `{"name":"a__t","arguments":{"who":"${who}"}}`)
    let begun = 0
    const stopCounting = running.gateway.on('request.began', ({ request }) => {
      if (request.method === 'tools/call') begun++
    })
    const calls = [call(other, 'first')]
    const first = await server.called('t')
    for (let at = 0; at < 4; at++) calls.push(call(ci, 'ci'), call(other, 'other'))
    await expect.poll(() => begun, POLL).toBe(9)
    // What has begun is in the queue once another request is answered.
    await ci.request(String(++id), 'ping')
    stopCounting()
    first.answer(EMPTY)
    const order: string[] = []
    for (let at = 0; at < 8; at++) {
      const next = await server.called('t')
      order.push(rawAt(next.params, 'arguments', 'who') ?? '')
      next.answer(EMPTY)
    }
    await Promise.all(calls)
    return order.slice(0, 4).filter(who => who === '"ci"').length
  }
  expect(await turns()).toBe(2)
  await reload(running.gateway, file(10))
  expect(await turns()).toBeGreaterThan(2)
}

/** Lines of the log that a call leaves. */
const log: KeyTest = async () => {
  await using server = await scriptedHttp()
  server.results.set('tools/call', WELL)
  const stream = new PassThrough()
  let text = ''
  stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
  const logger = createLogger({ level: 'error', stream, format: 'json' })
  const file = (level: string): File & { gateway: File } => ({
    mcpServers: { a: server.entry },
    gateway: { log: level },
  })
  await using running = await startGateway(file('error'), { logger })
  const client = await openSession(running.origin)
  await client.call('a__t')
  await logger.flush()
  expect(text).toBe('')
  await reload(running.gateway, file('debug'))
  await client.call('a__t')
  await logger.flush()
  expect(text).toContain('tools/call')
}

/** A file that changes, with a gateway that follows it or not. */
const watch: KeyTest = async () => {
  await using scratch = makeScratch()
  const write = (settings: object, servers: object): string =>
    scratch.write('servers.json', {
      mcpServers: servers,
      gateway: { http: { port: 0 }, state: 'memory', ...settings },
    })
  const up = (port: number): object => ({ url: `http://127.0.0.1:${port}/mcp` })
  const file = write({ watch: false }, {})
  const { reading, marks } = await readConfig({ file, overrides: {} })
  const { config } = reading
  if (!config) throw new Error(reading.problem)
  const store = createMemoryStore()
  const gateway = await buildGateway(config, { logger: SILENT, store })
  const names = (): string[] => gateway.status().map(({ name }) => name)
  const load = (request: ReadRequest) => ({ reading: readConfig(request), stop: () => {} })
  const files = new FileSource({ file, logger: SILENT, marks, load })
  /** Changes that the files have told of. */
  let noticed = 0
  const source: WatchedSource = {
    name: files.name,
    read: () => files.read(),
    peek: () => files.peek(),
    close: () => files.close(),
    watch: onChange =>
      files.watch(() => {
        onChange()
        noticed++
      }),
  }
  const reloader = new Reloader({ source, target: gateway, config, logger: SILENT })
  await reloader.start()
  try {
    write({ watch: false }, { a: up(9) })
    await expect.poll(() => noticed, POLL).toBeGreaterThan(0)
    // The gateway has not followed: only what is asked for takes effect.
    write({ watch: true }, { a: up(9) })
    expect(await reloader.reload()).toMatchObject({ outcome: 'applied' })
    expect(names()).toEqual(['a'])
    write({ watch: true }, { a: up(9), b: up(10) })
    await expect.poll(names, POLL).toEqual(['a', 'b'])
    write({ watch: false }, { a: up(9), b: up(10), c: up(11) })
    await expect.poll(names, POLL).toEqual(['a', 'b', 'c'])
    const before = noticed
    write({ watch: false }, {})
    await expect.poll(() => noticed, POLL).toBeGreaterThan(before)
    expect(await reloader.reload()).toMatchObject({ outcome: 'applied' })
    expect(names()).toEqual([])
  } finally {
    await reloader.close()
    await gateway.close()
    await store.close()
  }
}

/** Links that two sessions of one client need for three calls in turn. */
const maxLinksPerClient: KeyTest = async () => {
  await using server = await scriptedHttp({ sessions: true })
  server.results.set('tools/call', WELL)
  const file = (max: number): File & { gateway: File } => ({
    mcpServers: { a: { ...server.entry, isolation: 'session' } },
    clients: withKeys({ ci: {} }),
    gateway: { maxLinksPerClient: max },
  })
  await using running = await startGateway(file(2))
  await running.gateway.warmUp()
  // A call with this id is the first one of its link. Links on which the server is listed have none.
  const called = (): number =>
    server.messages.all.filter(text => text.includes('"id":2,"method":"tools/call"')).length
  const links = async (): Promise<number> => {
    const before = called()
    const headers = headersOf('ci')
    await using one = await LegacySession.open(running.origin, { headers })
    await using two = await LegacySession.open(running.origin, { headers })
    for (const session of [one, two, one])
      expect(await session.request('1', 'tools/call', '{"name":"a__t"}')).toContain('well')
    return called() - before
  }
  expect(await links()).toBe(2)
  await reload(running.gateway, file(1))
  expect(await links()).toBe(3)
}

/** Which of two replicas gets the calls. */
const zone: KeyTest = async () => {
  await using east = await scriptedHttp()
  await using west = await scriptedHttp()
  for (const server of [east, west]) server.results.set('tools/call', WELL)
  const replicas = [
    { ...east.entry, zone: 'east' },
    { ...west.entry, zone: 'west' },
  ]
  const file = (name: string): File & { gateway: File } => ({
    mcpServers: { a: { replicas, isolation: 'shared' } },
    gateway: { zone: name },
  })
  await using running = await startGateway(file('east'))
  const client = await openSession(running.origin)
  const spread = async (): Promise<readonly boolean[]> => {
    const before = [callsAt(east), callsAt(west)]
    for (let at = 0; at < 6; at++) await client.call('a__t', { at })
    return [east, west].map((server, at) => callsAt(server) > (before[at] ?? 0))
  }
  await expect.poll(spread, POLL).toEqual([true, false])
  await reload(running.gateway, file('west'))
  await expect.poll(spread, POLL).toEqual([false, true])
}

/** A call of a server whose links are replaced. */
const drainTimeout = scene({ gateway: { drainTimeout: '24h' } }, async ({ server, origin, turn }) => {
  await using session = await LegacySession.open(origin)
  await turn({ drainTimeout: '1s' })
  const calling = session.request('1', 'tools/call', '{"name":"a__t"}')
  await server.called('t')
  await turn({ drainTimeout: '1s' }, { headers: { 'x-other': 'other' } })
  expect(await calling).toContain('error')
})

/** Calls that do not end, of a client that closes its input, and when the gateway stops. */
const shutdownTimeout = scene(
  { gateway: { shutdownTimeout: '1h' } },
  async ({ gateway, server, origin, turn }) => {
    const leaving = await StdioClient.legacy(gateway)
    const session = await LegacySession.open(origin)
    await turn({ shutdownTimeout: '100ms' })
    leaving.send('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a__t"}}')
    await server.called('t')
    const ended = leaving[Symbol.asyncDispose]()
    expect(await leaving.answer('1')).toContain('shutting down')
    await ended
    const calling = session.request('2', 'tools/call', '{"name":"a__t"}')
    await server.called('t')
    const stopped = gateway.stop()
    expect(await calling).toContain('shutting down')
    await stopped
  },
)

/** A call that is limited, while the state cannot be reached. */
const quotaFailureMode: KeyTest = async () => {
  await using server = await scriptedHttp()
  server.results.set('tools/call', WELL)
  const file = (mode: string): File & { gateway: File } => ({
    mcpServers: { a: server.entry },
    clients: withKeys({ ci: { limits: { 'a/*': { budget: { calls: '1000/day' } } } } }),
    gateway: { quotaFailureMode: mode },
  })
  const memory = createMemoryStore()
  const store: Store = Object.assign(Object.create(memory) as Store, {
    take: () => Promise.reject(new Error('the state is away')),
    close: () => memory.close(),
  })
  await using running = await startGateway(file('closed'), { store })
  await using session = await LegacySession.open(running.origin, { headers: headersOf('ci') })
  const call = (): Promise<string> => session.request('1', 'tools/call', '{"name":"a__t"}')
  expect(await call()).toContain('cannot be found out')
  await reload(running.gateway, file('open'))
  expect(await call()).toContain('well')
  await reload(running.gateway, file('closed'))
  expect(await call()).toContain('cannot be found out')
}

const HOUR = 3_600_000

/** When the day of a budget begins: nine hours sooner in Tokyo than in UTC. */
const timeZone: KeyTest = async () => {
  await using server = await scriptedHttp()
  server.results.set('tools/call', WELL)
  const file = (name: string): File & { gateway: File } => ({
    mcpServers: { a: server.entry },
    clients: withKeys({ ci: { budget: { calls: '1/day' } } }),
    gateway: { timeZone: name },
  })
  await using running = await startGateway(file('UTC'))
  await using session = await LegacySession.open(running.origin, { headers: headersOf('ci') })
  /** Milliseconds until the day is over. */
  const left = async (): Promise<number> => {
    let answer = ''
    while (!answer.includes('retryAfterMs'))
      answer = await session.request('1', 'tools/call', '{"name":"a__t"}')
    return Number(/"retryAfterMs":(\d+)/.exec(answer)?.[1])
  }
  const utc = await left()
  await reload(running.gateway, file('Asia/Tokyo'))
  const sooner = (((utc - (await left())) % (24 * HOUR)) + 24 * HOUR) % (24 * HOUR)
  expect(Math.round(sooner / HOUR)).toBe(9)
}

/** Look-ups of a name, and the address that its calls go to. */
const dns =
  (run: (scene: Looked) => Promise<void>): KeyTest =>
  async () => {
    await using first = await startDnsServer()
    await using second = await startDnsServer()
    const one = await startRawServer({ era: 'modern', host: '127.0.0.2' })
    const port = Number(new URL(one.url).port)
    const two = await startRawServer({ era: 'modern', host: '127.0.0.3', port })
    try {
      first.addresses.set('up.test', ['127.0.0.2'])
      second.addresses.set('up.test', ['127.0.0.3'])
      const file = (settings: object): File & { gateway: File } => ({
        mcpServers: { up: { url: `http://up.test:${port}/mcp`, prefix: false, isolation: 'shared' } },
        gateway: { dns: settings },
      })
      await using running = await startGateway(file({ refresh: 'never', servers: [first.address] }))
      const client = await openSession(running.origin)
      const call = async (): Promise<number> => {
        const at = one.received.length
        await client.call('echo_raw', { a: 1 })
        return one.received.length > at ? 1 : 2
      }
      expect(await call()).toBe(1)
      await run({
        call,
        servers: [first.address, second.address],
        asked: () => first.asked.length,
        turn: async settings => void (await reload(running.gateway, file(settings))),
      })
    } finally {
      await Promise.all([one.close(), two.close()])
    }
  }

interface Looked {
  /** Which of the two servers gets a call. */
  call(): Promise<number>
  readonly servers: readonly [string, string]
  /** How often the first name server was asked. */
  asked(): number
  turn(dns: object): Promise<void>
}

const dnsRefresh = dns(async ({ asked, servers, turn }) => {
  await turn({ refresh: '1s', servers: [servers[0]] })
  await expect.poll(asked, POLL).toBeGreaterThan(asked() + 4)
})

const dnsServers = dns(async ({ call, servers, turn }) => {
  await turn({ refresh: 'never', servers: [servers[1]] })
  await expect.poll(call, POLL).toBe(2)
})

export const RUNNING_KEYS: KeyTests = {
  'clients.*.weight': weight,
  'gateway.log': log,
  'gateway.watch': watch,
  'gateway.maxLinksPerClient': maxLinksPerClient,
  'gateway.zone': zone,
  'gateway.drainTimeout': drainTimeout,
  'gateway.shutdownTimeout': shutdownTimeout,
  'gateway.quotaFailureMode': quotaFailureMode,
  'gateway.timeZone': timeZone,
  'gateway.dns.refresh': dnsRefresh,
  'gateway.dns.servers': dnsServers,
}
