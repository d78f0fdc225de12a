import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { SILENT } from '../../src/core/logger.ts'
import { openLmdbStore } from '../../src/state/lmdb.ts'
import { startRawServer, type RawServer, type RawServerOptions } from '../fixtures/servers/raw.js'
import { startGateway } from '../helpers/gateway.ts'
import { openSession, post, type HttpClient, type Listening } from '../helpers/http-client.ts'
import { childrenOf } from '../helpers/leftovers.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { scriptedHttp } from '../helpers/scripted-servers.ts'
import { freePort } from '../helpers/served.ts'
import { answerOf, ENVELOPE, LegacySession, ModernHttp, type WireClient } from '../helpers/wire-clients.ts'
import { RunningTime } from '../helpers/running-time.ts'
import { HeldClock } from '../helpers/held-clock.ts'

/** What clients see of many servers, over time and over restarts. */

const MISBEHAVING = fileURLToPath(new URL('../fixtures/servers/misbehaving.js', import.meta.url))
const stdio = (...args: string[]): object => ({ command: process.execPath, args: [MISBEHAVING, ...args] })

async function upstream(options: RawServerOptions = {}): Promise<RawServer> {
  const server = await startRawServer(options)
  onTestFinished(() => server.close())
  return server
}

/** Takes changes of the list of tools as they come, until it is this one. */
async function toolsBecome(
  client: HttpClient,
  stream: Listening,
  matches: (names: readonly string[]) => boolean,
): Promise<void> {
  // A list that changes between two of its pages refuses the cursor; that is no match either.
  const names = (): Promise<readonly string[]> => client.names('tools').catch((): string[] => [])
  while (!matches(await names())) await stream.next('notifications/tools/list_changed')
}

const tool = (name: string): string => `{"name":${JSON.stringify(name)},"inputSchema":{"type":"object"}}`

/** A stdio server that says that its tools have changed before it answers `initialize`. */
const HASTY = `
const say = message => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\\n')
require('node:readline').createInterface({ input: process.stdin }).on('line', line => {
  const { id, method } = JSON.parse(line)
  if (id === undefined) return
  if (method === 'initialize') {
    say({ method: 'notifications/tools/list_changed' })
    const capabilities = { tools: { listChanged: true } }
    return say({ id, result: { protocolVersion: '2025-11-25', capabilities, serverInfo: { name: 'h', version: '1' } } })
  }
  if (method === 'tools/list') return say({ id, result: { tools: [${tool('t')}] } })
  say({ id, error: { code: -32601, message: 'Method not found' } })
})`

describe('lists', () => {
  test('are those of a server that reports a change during its handshake', async () => {
    const errors: string[] = []
    const logger = { ...SILENT, error: (message: string) => void errors.push(message), child: () => logger }
    await using served = await startGateway(
      { mcpServers: { hasty: { command: process.execPath, args: ['-e', HASTY] } } },
      { logger },
    )
    expect(await (await openSession(served.origin)).names('tools')).toEqual(['hasty__t'])
    expect(errors).toEqual([])
  })

  test('hold every page of every server, in the order of the configuration and of the server', async () => {
    const [paged, whole] = [
      await upstream({ pageSize: 3, extraTools: 10 }),
      await upstream({ extraTools: 10 }),
    ]
    const file = { mcpServers: { zebra: { url: paged.url }, ant: { url: whole.url } } }
    const lists: string[][] = []
    for (let run = 0; run < 2; run++) {
      await using served = await startGateway(file)
      lists.push(await (await openSession(served.origin)).names('tools'))
    }
    const [first = [], second] = lists
    expect(second).toEqual(first)
    const zebra = first.filter(name => name.startsWith('zebra__'))
    expect(zebra.slice(-10)).toEqual(Array.from({ length: 10 }, (_, n) => `zebra__extra_${n}`))
    expect(first).toEqual([...zebra, ...zebra.map(name => name.replace('zebra__', 'ant__'))])
  })

  test('come in pages above the configured size, with cursors that cannot be forged or outlive a change', async () => {
    const server = await upstream()
    server.setTools(['a', 'b', 'c', 'd', 'e', 'f', 'g'].map(tool))
    await using served = await startGateway({
      mcpServers: { one: { url: server.url } },
      gateway: { catalog: { pageSize: 3 } },
    })
    const client = await openSession(served.origin)
    expect(await client.names('tools')).toEqual(
      ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map(name => `one__${name}`),
    )
    const list = async (
      cursor?: string,
    ): Promise<{ names: string[]; next: string; code: number | undefined }> => {
      const { result, error } = await client.request('tools/list', cursor === undefined ? {} : { cursor })
      const tools = (result?.['tools'] ?? []) as { name: string }[]
      return {
        names: tools.map(({ name }) => name),
        next: result?.['nextCursor'] as string,
        code: error?.code,
      }
    }
    const { next } = await list()
    expect((await list(next)).names).toEqual(['one__d', 'one__e', 'one__f'])
    expect(await list(next)).toEqual(await list(next))
    const forged = Buffer.from(next, 'base64url').toString().replace('3.', '5.')
    const refused = [
      Buffer.from(forged).toString('base64url'),
      `${next}x`,
      'nonsense',
      '',
      Buffer.from('0.').toString('base64url'),
    ]
    for (const cursor of refused) expect((await list(cursor)).code, cursor).toBe(-32602)

    await using stream = await client.listen()
    server.setTools(['a', 'b', 'c', 'd', 'new'].map(tool))
    server.listChanged('tools')
    await toolsBecome(client, stream, names => names.includes('one__new'))
    expect((await list(next)).code).toBe(-32602)
    expect(await client.names('tools')).toEqual(['a', 'b', 'c', 'd', 'new'].map(name => `one__${name}`))
  })

  test('have the members that the modern era asks for', async () => {
    const server = await upstream()
    await using served = await startGateway({ mcpServers: { one: { url: server.url } } })
    const meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
      'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
    }
    for (const [method, kind] of [
      ['tools/list', 'tools'],
      ['prompts/list', 'prompts'],
      ['resources/list', 'resources'],
      ['resources/templates/list', 'resourceTemplates'],
    ] as const) {
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { _meta: meta } })
      const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': method }
      const response = await post(`${served.origin}/mcp`, body, headers)
      const { result } = (await response.json()) as { result: Record<string, unknown> }
      expect(result).toMatchObject({
        resultType: 'complete',
        ttlMs: 0,
        cacheScope: 'public',
        _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'mcp-manifold' } },
      })
      expect(result[kind]).not.toEqual([])
    }
  })

  test('change when a server reports it, and its clients are notified', async () => {
    const [one, two] = [await upstream(), await upstream()]
    await using served = await startGateway({ mcpServers: { one: { url: one.url }, two: { url: two.url } } })
    const all = await openSession(served.origin)
    const onlyTwo = await openSession(served.origin, 'two')
    await all.names('tools')
    await onlyTwo.names('tools')
    await using stream = await all.listen()
    await using other = await onlyTwo.listen()
    one.setTools([tool('fresh')])
    one.listChanged('tools')
    const ofOne = (names: readonly string[]): string => names.filter(name => name.startsWith('one__')).join()
    await toolsBecome(all, stream, names => ofOne(names) === 'one__fresh')
    expect(await all.call('one__fresh', { a: 1 })).toBe('{"a":1}')
    two.setTools([tool('newer')])
    two.listChanged('tools')
    await toolsBecome(onlyTwo, other, names => names.join() === 'newer')
  })
})

describe('names', () => {
  test('of one server alone are its own', async () => {
    const [one, two] = [await upstream({ name: 'one' }), await upstream({ name: 'two' })]
    await using served = await startGateway({ mcpServers: { one: { url: one.url }, two: { url: two.url } } })
    const client = await openSession(served.origin, 'two')
    const names = await client.names('tools')
    expect(names).toContain('echo_raw')
    expect(names.filter(name => name.includes('__'))).toEqual([])
    expect(await client.names('resources')).toEqual(['raw://shared/one', 'raw://shared/two'])
    expect(await client.call('echo_raw', { a: 1 })).toBe('{"a":1}')
    const { result } = await client.request('resources/read', { uri: 'raw://shared/one' })
    expect(result?.['contents']).toMatchObject([{ uri: 'raw://shared/one', text: 'two: raw://shared/one' }])
  })

  test('follow the prefix of the configuration; bare ones that collide get an alias that works', async () => {
    const servers = [await upstream(), await upstream(), await upstream()]
    for (const server of servers)
      server.setTools([tool('echo_raw'), tool('with space é'), tool('x'.repeat(60))])
    const [one, two, three] = servers.map(({ url }) => url)
    await using served = await startGateway({
      mcpServers: {
        one: { url: one, prefix: false },
        two: { url: two, prefix: false },
        three: { url: three, prefix: 's' },
      },
    })
    const client = await openSession(served.origin)
    const names = await client.names('tools')
    expect(names.slice(0, 3)).toEqual(['echo_raw', 'with space é', 'x'.repeat(60)])
    expect(names[3]).toMatch(/^two__echo_raw_[0-9a-f]{6}$/)
    expect(names[6]).toBe('s__echo_raw')
    expect(names[7]).toMatch(/^s__with_space___[0-9a-f]{6}$/)
    expect(names[8]).toMatch(/^s__x+_[0-9a-f]{6}$/)
    for (const name of names.slice(3)) expect(name).toMatch(/^[A-Za-z0-9_-]{1,48}$/)
    expect(new Set(names).size).toBe(names.length)
    // Lists may be fetched meanwhile.
    const calls = (): number =>
      (servers[1] as RawServer).received.filter(text => text.includes('"tools/call"')).length
    expect(calls()).toBe(0)
    expect(await client.call(names[3] as string, { a: 1 })).toBe('{"a":1}')
    expect(calls()).toBe(1)
    for (const name of names) expect(await client.call(name, { name })).toBe(JSON.stringify({ name }))
  })

  test('that are hidden are neither listed nor callable', async () => {
    const server = await upstream()
    await using served = await startGateway({
      mcpServers: { one: { url: server.url, tools: { 'echo_*': { hidden: true }, big: { hidden: true } } } },
    })
    const client = await openSession(served.origin)
    const names = await client.names('tools')
    expect(names).not.toContain('one__echo_raw')
    expect(names).not.toContain('one__big')
    expect(names).toContain('one__slow')
    const { length } = server.received
    expect(await client.call('one__echo_raw')).toBe('Unknown tool: one__echo_raw')
    expect(server.received.slice(length).filter(text => text.includes('tools/call'))).toEqual([])
  })
})

describe('over restarts', () => {
  test('lists are there at once, and nothing is started for them', async () => {
    await using scratch = makeScratch()
    const file = { mcpServers: { one: stdio('good'), two: stdio('good') } }
    const open = (): ReturnType<typeof openLmdbStore> => openLmdbStore(`${scratch.path}/state`)
    let tools: string[]
    {
      await using served = await startGateway(file, { store: open() })
      tools = await (await openSession(served.origin)).names('tools')
      expect(tools).toEqual(['one__echo', 'one__pid', 'two__echo', 'two__pid'])
    }
    const before = childrenOf(process.pid)
    await using served = await startGateway(file, { store: open() })
    const client = await openSession(served.origin)
    expect(await client.names('tools')).toEqual(tools)
    expect(client.greeting.result?.['capabilities']).toEqual({ tools: { listChanged: true } })
    expect(served.gateway.status().map(({ state, listed, tools }) => ({ state, listed, tools }))).toEqual([
      { state: 'idle', listed: true, tools: 2 },
      { state: 'idle', listed: true, tools: 2 },
    ])
    expect(childrenOf(process.pid)).toEqual(before)
    // A call starts the one server it needs.
    expect(await client.call('two__echo', { a: 1 })).toBe('{"a":1}')
    expect(served.gateway.status().map(({ state }) => state)).toEqual(['idle', 'ready'])
  })

  test('lists of a server that is configured differently now are not used', async () => {
    await using scratch = makeScratch()
    const open = (): ReturnType<typeof openLmdbStore> => openLmdbStore(`${scratch.path}/state`)
    {
      await using served = await startGateway({ mcpServers: { one: stdio('good') } }, { store: open() })
      await (await openSession(served.origin)).names('tools')
    }
    const changed = { mcpServers: { one: stdio('endless-cursor') } }
    await using served = await startGateway(changed, { store: open() })
    expect(served.gateway.status()).toMatchObject([{ state: 'idle', listed: false }])
    expect(await (await openSession(served.origin)).names('tools')).toEqual(['one__echo'])
  })

  test('a tool that is hidden now is gone from kept lists at once, and one that is no longer hidden is back', async () => {
    await using scratch = makeScratch()
    const server = await upstream()
    const open = (): ReturnType<typeof openLmdbStore> => openLmdbStore(`${scratch.path}/state`)
    const file = (entry: object): { mcpServers: object } => ({
      mcpServers: { one: { url: server.url, ...entry } },
    })
    const lists = (): number => server.received.filter(text => text.includes('"tools/list"')).length
    {
      await using served = await startGateway(file({}), { store: open() })
      expect(await (await openSession(served.origin)).names('tools')).toContain('one__echo_raw')
    }
    const listed = lists()
    for (const hides of [{ disabledTools: ['echo_raw'] }, { tools: { 'echo_*': { hidden: true } } }]) {
      await using served = await startGateway(file(hides), { store: open() })
      const client = await openSession(served.origin)
      const names = await client.names('tools')
      expect(names).toContain('one__slow')
      expect(names).not.toContain('one__echo_raw')
      for (const name of ['one__echo_raw', 'echo_raw'])
        expect(await client.call(name)).toBe(`Unknown tool: ${name}`)
    }
    {
      await using served = await startGateway(file({}), { store: open() })
      const client = await openSession(served.origin)
      expect(await client.names('tools')).toContain('one__echo_raw')
      expect(lists()).toBe(listed)
      expect(await client.call('one__echo_raw', { a: 1 })).toBe('{"a":1}')
    }
    expect(server.received.filter(text => text.includes('"tools/call"'))).toHaveLength(1)
  })

  test('gateways with different configurations over one state each keep their own lists', async () => {
    await using scratch = makeScratch()
    const open = (): ReturnType<typeof openLmdbStore> => openLmdbStore(`${scratch.path}/state`)
    const files = [
      { mcpServers: { one: stdio('good') } },
      { mcpServers: { one: { ...stdio('endless-cursor'), env: { TOKEN: 'a secret value' } } } },
    ]
    const seen = [['one__echo', 'one__pid'], ['one__echo']]
    const first = childrenOf(process.pid)
    for (const [at, file] of files.entries()) {
      await using served = await startGateway(file, { store: open() })
      expect(await (await openSession(served.origin)).names('tools')).toEqual(seen[at])
    }
    // What is left of the first round ends by itself; the second starts nothing.
    await expect.poll(() => childrenOf(process.pid)).toEqual(first)
    for (const [at, file] of files.entries()) {
      await using served = await startGateway(file, { store: open() })
      expect(served.gateway.status()).toMatchObject([{ state: 'idle', listed: true }])
      expect(await (await openSession(served.origin)).names('tools')).toEqual(seen[at])
    }
    expect(childrenOf(process.pid)).toEqual(first)
    const store = open()
    const keys = await store.keys('catalog')
    const kept = await store.getMany(keys)
    await store.close()
    expect(keys.filter(key => key.startsWith('catalog/one/'))).toHaveLength(2)
    expect([...keys, ...kept].join()).not.toContain('a secret value')
  })

  test('a server that is gone keeps its lists, and a call says what is wrong', async () => {
    await using scratch = makeScratch()
    const port = await freePort()
    const open = (): ReturnType<typeof openLmdbStore> => openLmdbStore(`${scratch.path}/state`)
    const file = { mcpServers: { one: { url: `http://127.0.0.1:${port}/mcp` } } }
    const server = await startRawServer({ port })
    try {
      await using served = await startGateway(file, { store: open() })
      await (await openSession(served.origin)).names('tools')
    } finally {
      await server.close()
    }
    await using served = await startGateway(file, { store: open() })
    const client = await openSession(served.origin)
    expect(await client.names('tools')).toContain('one__echo_raw')
    const { result } = await client.request('tools/call', { name: 'one__echo_raw', arguments: {} })
    expect(result).toMatchObject({ isError: true })
    expect(JSON.stringify(result)).toMatch(/Server \\"one\\" cannot be reached \(ECONNREFUSED\)/)
    expect(await client.names('tools')).toContain('one__echo_raw')
    expect(served.gateway.status()).toMatchObject([{ state: 'failed', listed: true }])
  })
})

describe('a list after a change', () => {
  test('that a server tells of during a call holds what has changed', async () => {
    await using served = await startGateway({ mcpServers: { one: stdio('growing') } })
    const client = await openSession(served.origin)
    expect(await client.names('tools')).toEqual(['one__echo', 'one__pid'])
    for (let turn = 1; turn <= 3; turn++) {
      await client.call('one__echo', { text: 'x' })
      expect(await client.names('tools')).toContain(`one__grown_${turn}`)
    }
    // What is called by a name that the call has told of is known, too.
    await client.call('one__echo', { text: 'x' })
    expect(await client.call('one__grown_4', {})).toBe('grown')
  })

  test.each(['2025-11-25', '2026-07-28'])(
    'that a server tells of only after the call holds what has changed, for the client that called (%s)',
    async revision => {
      await using served = await startGateway({ mcpServers: { one: stdio('growing', 'late') } })
      await using client: WireClient =
        revision === '2026-07-28' ? new ModernHttp(served.origin) : await LegacySession.open(served.origin)
      const names = (): Promise<string> => client.request('1', 'tools/list')
      expect(await names()).not.toContain('grown')
      for (let turn = 1; turn <= 3; turn++) {
        await client.request('2', 'tools/call', '{"name":"one__echo","arguments":{}}')
        expect(await names()).toContain(`one__grown_${turn}`)
      }
      // By its name alone, too.
      await client.request('2', 'tools/call', '{"name":"one__echo","arguments":{}}')
      const grown = await client.request('2', 'tools/call', '{"name":"one__grown_4","arguments":{}}')
      expect(grown).toContain('"grown"')
    },
  )

  test('is fetched for clients that have just called the server, once for each call and a few times a second', async () => {
    const server = await upstream()
    await using served = await startGateway({ mcpServers: { one: { url: server.url } } })
    const [caller, other] = [await openSession(served.origin), await openSession(served.origin)]
    const listed = (): number => server.requests.filter(({ text }) => text.includes('"tools/list"')).length
    await caller.names('tools')
    await other.names('tools')
    // The call is a moment ago for as long as this takes.
    const clock = new HeldClock()
    await caller.call('one__echo_raw', {})
    clock.advance(10)
    const before = listed()
    for (let turn = 0; turn < 5; turn++) await other.names('tools')
    expect(listed()).toBe(before)
    server.setTools([tool('echo_raw'), tool('new')])
    expect(await caller.names('tools')).toEqual(['one__echo_raw', 'one__new'])
    clock.advance(10)
    await caller.names('tools')
    await caller.names('resources')
    expect(listed()).toBe(before + 1)
    clock[Symbol.dispose]()
    const started = performance.now()
    for (let turn = 0; turn < 50; turn++) {
      await caller.call('one__echo_raw', {})
      await caller.names('tools')
    }
    expect(listed() - before).toBeLessThanOrEqual(6 + (performance.now() - started) / 1000)
    expect(listed() - before).toBeGreaterThan(3)
  })

  test('that one client finds after its call is there for clients with other capabilities', async () => {
    const server = await upstream({ era: 'modern' })
    await using served = await startGateway({ mcpServers: { one: { url: server.url } } })
    await using caller = new ModernHttp(served.origin)
    const asked = `{"_meta":{${ENVELOPE.replace('Capabilities":{}', 'Capabilities":{"elicitation":{}}')}}}`
    const others = async (): Promise<string> => await answerOf(await caller.post('1', 'tools/list', asked))
    expect(await caller.request('1', 'tools/list')).not.toContain('one__new')
    expect(await others()).not.toContain('one__new')
    using clock = new HeldClock()
    await caller.request('2', 'tools/call', '{"name":"one__echo_raw","arguments":{}}')
    server.setTools([tool('echo_raw'), tool('new')])
    expect(await caller.request('3', 'tools/list')).toContain('one__new')
    // Of the same principal, so its list would be fetched as well; once the two seconds are over it is not.
    clock.advance(2100)
    expect(await others()).toContain('one__new')
  })

  test('is not held up again and again by a server that tells of changes and lists nothing', async () => {
    await using served = await startGateway({ mcpServers: { one: stdio('growing', 'silently') } })
    const client = await openSession(served.origin)
    await client.names('tools')
    await client.call('one__echo', { text: 'x' })
    expect(await client.names('tools')).toEqual(['one__echo', 'one__pid'])
    using time = new RunningTime()
    for (let turn = 0; turn < 3; turn++) {
      await client.call('one__echo', { text: 'x' })
      expect(await client.names('tools')).toEqual(['one__echo', 'one__pid'])
    }
    expect(time.ms).toBeLessThan(6000)
  })
})

describe('the first list', () => {
  test('waits for a slow server no longer than configured', async () => {
    await using served = await startGateway({
      mcpServers: { slow: { ...stdio('mute'), startTimeout: '60s' }, good: stdio('good') },
      gateway: { catalog: { firstListTimeout: '500ms' } },
    })
    const started = performance.now()
    const client = await openSession(served.origin)
    expect(await client.names('tools')).toEqual(['good__echo', 'good__pid'])
    const took = performance.now() - started
    expect(took).toBeGreaterThan(450)
    expect(took).toBeLessThan(30_000)
    // Everything is offered while it is not known what the slow one can do, since a client asks only once.
    expect(client.greeting.result?.['capabilities']).toMatchObject({ prompts: {}, resources: {}, tools: {} })
  })

  test('waits for a silent server once, whatever the number of clients, lists and unknown names, and over restarts', async () => {
    await using scratch = makeScratch()
    const open = (): ReturnType<typeof openLmdbStore> => openLmdbStore(`${scratch.path}/state`)
    const file = {
      mcpServers: { slow: { ...stdio('mute'), startTimeout: '60s' }, good: stdio('good') },
      gateway: { catalog: { firstListTimeout: '6s' } },
    }
    const good = ['good__echo', 'good__pid']
    {
      await using served = await startGateway(file, { store: open() })
      const clients = await Promise.all([1, 2, 3].map(() => openSession(served.origin)))
      using time = new RunningTime()
      const lists = await Promise.all(clients.map(client => client.names('tools')))
      expect(time.ms).toBeLessThan(11_000)
      expect(lists).toEqual([good, good, good])
      const since = time.ms
      const late = await openSession(served.origin)
      expect(await late.names('tools')).toEqual(good)
      expect(await late.names('tools')).toEqual(good)
      expect((await late.request('tools/call', { name: 'slow__x', arguments: {} })).error).toBeDefined()
      expect((await late.request('resources/read', { uri: 'x://y' })).error).toBeDefined()
      expect(time.ms - since).toBeLessThan(5000)
    }
    await using served = await startGateway(file, { store: open() })
    using time = new RunningTime()
    const client = await openSession(served.origin)
    expect(await client.names('tools')).toEqual(good)
    expect(time.ms).toBeLessThan(5000)
  })

  test('is given at once by a name that is known, while a silent server is waited for', async () => {
    await using served = await startGateway({
      mcpServers: { slow: { ...stdio('mute'), startTimeout: '60s' }, good: stdio('good') },
      gateway: { catalog: { firstListTimeout: '10s' } },
    })
    const client = await openSession(served.origin)
    using time = new RunningTime()
    expect(await client.call('good__pid', {})).toMatch(/^\d+$/)
    expect(time.ms).toBeLessThan(7000)
  })

  test('holds a server that was silent for an earlier run as soon as it answers', async () => {
    await using scratch = makeScratch()
    const open = (): ReturnType<typeof openLmdbStore> => openLmdbStore(`${scratch.path}/state`)
    const port = await freePort()
    const silent = createServer(() => {})
    await new Promise<void>(resolve => silent.listen(port, '127.0.0.1', resolve))
    const file = {
      mcpServers: { late: { url: `http://127.0.0.1:${port}/mcp` }, good: stdio('good') },
      gateway: { catalog: { firstListTimeout: '1s' } },
    }
    try {
      await using served = await startGateway(file, { store: open() })
      const client = await openSession(served.origin)
      expect(await client.names('tools')).toEqual(['good__echo', 'good__pid'])
    } finally {
      silent.closeAllConnections()
      await new Promise(resolve => silent.close(resolve))
    }
    await upstream({ port })
    await using served = await startGateway(file, { store: open() })
    const client = await openSession(served.origin)
    await using stream = await client.listen()
    await toolsBecome(client, stream, names => names.includes('late__echo_raw'))
    await served.gateway.close()
    const store = open()
    expect(await store.keys('catalog-silent/')).toEqual([])
    await store.close()
  })

  test('lacks a server that is down; clients are notified when it comes up', async () => {
    const port = await freePort()
    await using served = await startGateway({
      mcpServers: { late: { url: `http://127.0.0.1:${port}/mcp` }, good: stdio('good') },
    })
    const client = await openSession(served.origin)
    expect(await client.names('tools')).toEqual(['good__echo', 'good__pid'])
    await using stream = await client.listen()
    await upstream({ port })
    await toolsBecome(client, stream, names => names.includes('late__echo_raw'))
    expect(await client.call('late__echo_raw', { a: 1 })).toBe('{"a":1}')
  })
})

test('a call that comes while every server is listed for the first time finds its tool', async () => {
  await using server = await scriptedHttp()
  for (let round = 0; round < 5; round++) {
    await using served = await startGateway({ mcpServers: { s: server.entry } })
    await using client = new ModernHttp(served.origin)
    const warm = served.gateway.warmUp()
    const answer = client.request('1', 'tools/call', '{"name":"s__t","arguments":{}}')
    const call = await server.called('t')
    call.answer('"result":{"content":[]}')
    expect(await answer).toContain('"content":[]')
    await warm
  }
})
