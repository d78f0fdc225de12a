import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { describe, expect, test, vi } from 'vitest'
import {
  createGateway,
  EventQueue,
  GatewayError,
  loadConfig,
  type ConfigObject,
  type Gateway,
  type GatewayEvent,
  type HostLogger,
} from '../../../src/index.ts'
import { createMemoryStore } from '../../../src/state/memory.ts'
import { openSession } from '../../helpers/http-client.ts'
import { assertNothingLeft, takeStock } from '../../helpers/leftovers.ts'
import { makeScratch } from '../../helpers/scratch.ts'
import { scriptedHttp } from '../../helpers/scripted-servers.ts'

/** What a program that embeds the gateway can rely on. */

const CLOCK = fileURLToPath(new URL('../../../examples/clock.js', import.meta.url))
const FREE_PORT = { http: { port: 0 } }
const REFUSED = { url: 'http://127.0.0.1:9/mcp' }

function cyclic(): object {
  const servers: Record<string, unknown> = {}
  servers['a'] = servers
  return { mcpServers: servers }
}

/** Two references to one object, 26 deep. */
function unfolding(): object {
  let both: object = {}
  for (let depth = 0; depth < 26; depth++) both = { l: both, r: both }
  return { mcpServers: { a: { url: 'http://127.0.0.1:9', health: { check: { tool: 't', args: both } } } } }
}

function fail(): never {
  throw new Error('sekrit')
}

function revoked<T extends object>(target: T): T {
  const { proxy, revoke } = Proxy.revocable(target, {})
  revoke()
  return proxy
}

async function problemsOf(making: Promise<Gateway>): Promise<string> {
  const thrown: unknown = await making.then(
    gateway => gateway.close().then(() => undefined),
    (error: unknown) => error,
  )
  if (!(thrown instanceof GatewayError)) throw new Error('it was made')
  expect(thrown.code).toBe('config')
  return thrown.message
}

/** Keeps what it is told. */
function recorder(): HostLogger & { readonly lines: string[] } {
  const lines: string[] = []
  const at =
    (level: string) =>
    (message: string, fields?: object): void =>
      void lines.push(`${level} ${message} ${JSON.stringify(fields)}`)
  return { lines, error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug') }
}

describe('a configuration', () => {
  test.each<[string, () => unknown, string]>([
    ['undefined', () => undefined, 'The configuration is undefined. Pass an object'],
    ['null', () => null, 'The configuration is null. Pass an object'],
    ['a list', () => [], 'The configuration is a list. Pass an object'],
    ['a number', () => 1, 'The configuration is a number. Pass an object'],
    ['a cycle', cyclic, 'mcpServers.a contains itself.'],
    ['a BigInt', () => ({ gateway: { queue: 1n } }), 'gateway.queue is a bigint, which no file can hold.'],
    [
      'a Map',
      () => ({ mcpServers: new Map([['a', REFUSED]]) }),
      'mcpServers is of the class Map. Pass a plain object.',
    ],
    [
      'an object that inherits',
      () => ({ mcpServers: { a: Object.create({ url: 'x' }) as object } }),
      'mcpServers.a is an object with a prototype of its own. Pass a plain object.',
    ],
    [
      'a variable that is not set',
      () => ({ mcpServers: { a: { command: 'x', env: { A: undefined } } } }),
      'mcpServers.a.env.A is undefined: expected a text',
    ],
    [
      'a getter that throws',
      () => ({
        mcpServers: {
          get a() {
            return fail()
          },
        },
      }),
      'mcpServers.a cannot be read',
    ],
    [
      'a proxy that throws',
      () => new Proxy({}, { ownKeys: fail, getOwnPropertyDescriptor: fail }),
      'cannot be read',
    ],
    ['a revoked proxy', () => revoked({}), 'The configuration cannot be read'],
    [
      'a revoked proxy of a list',
      () => ({ mcpServers: { a: { command: 'x', args: revoked([]) } } }),
      'mcpServers.a.args cannot be read',
    ],
    [
      'references that unfold to 67 million objects',
      unfolding,
      'exceeds 1000000 values, the most of a configuration.',
    ],
    [
      'a list with 4 billion places',
      () => ({ mcpServers: { a: { args: Array(2 ** 32 - 1) } } }),
      'exceeds 1000000 values',
    ],
    [
      'one long text in 17 places',
      () => ({ mcpServers: { a: { command: 'x', args: Array(17).fill('x'.repeat(2 ** 20)) } } }),
      'mcpServers.a.args[15] exceeds 16777216 characters',
    ],
    [
      'a part of a Config',
      () => ({ servers: [], warnings: [] }),
      'lacks clients, roles, profiles, a part of gateway.',
    ],
  ])(
    'that is %s is refused with the reason, and a gateway that runs is as it was',
    async (_, make, reason) => {
      const gateway = await createGateway({ mcpServers: { a: REFUSED }, gateway: FREE_PORT })
      const source = make() as ConfigObject
      for (const refused of [createGateway(source), gateway.reload(source)])
        await expect(refused).rejects.toMatchObject({
          name: 'GatewayError',
          code: 'config',
          message: expect.stringContaining(reason) as string,
        })
      expect(gateway.status().servers).toMatchObject([{ name: 'a' }])
      for (const prefix of [null, 1, 'x'])
        expect(() => gateway.handler({ prefix: prefix as string })).toThrow(
          `The prefix ${JSON.stringify(prefix)} of the`,
        )
      await gateway.close({ timeoutMs: 0 })
    },
  )

  test('is read once, so that a getter cannot give something else after the check', async () => {
    const answers = [REFUSED, { ...REFUSED, timeout: 1n }]
    const source = {
      mcpServers: {
        get a() {
          return answers.shift()
        },
      },
    }
    const gateway = await createGateway(source as ConfigObject)
    expect(gateway.status().servers).toMatchObject([{ name: 'a' }])
    expect(answers).toHaveLength(1)
    await gateway.close({ timeoutMs: 0 })
  })

  test('is read when it is passed to a reload, and later changes of the object do not count', async () => {
    const gateway = await createGateway({ mcpServers: { a: REFUSED } })
    const source: { mcpServers: Record<string, object> } = { mcpServers: { a: REFUSED, b: REFUSED } }
    const reloading = gateway.reload(source)
    source.mcpServers['c'] = REFUSED
    expect((await reloading).servers.added).toEqual(['b'])
    await gateway.close({ timeoutMs: 0 })
  })

  test('as an object is refused with all that is wrong with it, also in single servers', async () => {
    const wrong = { mcpServers: { a: { comand: 'x' }, b: REFUSED }, gateway: { log: 'loud' } }
    const problems = await problemsOf(createGateway(wrong as object))
    expect(problems).toContain('comand')
    expect(problems).toContain('gateway.log')
    const one: object = { mcpServers: { a: { comand: 'x' }, b: REFUSED } }
    expect(await problemsOf(createGateway(one))).toContain('comand')
  })

  test('in a file leaves out a server with a mistake, and the log and the status say why', async () => {
    await using scratch = makeScratch()
    const file = join(scratch.path, 'servers.json')
    writeFileSync(file, JSON.stringify({ mcpServers: { a: { comand: 'x' }, b: REFUSED } }))
    const logger = recorder()
    const gateway = await createGateway(file, { logger })
    const [a, b] = gateway.status().servers
    expect(a).toMatchObject({ name: 'a', state: 'failed' })
    expect(b).toMatchObject({ name: 'b', state: 'idle' })
    expect(logger.lines.join('\n')).toContain('error Server "a" is left out')
    await gateway.close()
  })

  test('that has been loaded before is used as it is', async () => {
    const config = await loadConfig({ mcpServers: { b: REFUSED } }, { env: {} })
    const gateway = await createGateway(config)
    expect(gateway.status().servers).toMatchObject([{ name: 'b' }])
    await gateway.close()
  })

  test('keeps the state in memory unless it says where', async () => {
    await using scratch = makeScratch()
    const folder = join(scratch.path, 'state')
    mkdirSync(folder)
    const inMemory = await loadConfig({ mcpServers: {} })
    const inFolder = await loadConfig({ mcpServers: {}, gateway: { state: `lmdb:${folder}` } })
    expect([inMemory.gateway.state, inFolder.gateway.state]).toEqual(['memory', `lmdb:${folder}`])
  })

  test('takes variables from where the program says', async () => {
    const source = { mcpServers: { b: { url: '${WHERE}/mcp' } } }
    expect(await problemsOf(createGateway(source, { env: {} }))).toContain('WHERE')
    const gateway = await createGateway(source, { env: { WHERE: 'http://127.0.0.1:9' } })
    await gateway.close()
  })
})

describe('a gateway', () => {
  test('has the documented members and no others', async () => {
    const gateway = await createGateway({ mcpServers: {} })
    expect(Object.keys(gateway).sort()).toEqual(
      ['close', 'connectStdio', 'handler', 'listen', 'on', 'reload', 'status'].sort(),
    )
    await gateway.close()
  })

  test('listens on an address of its own, serves streams and a handler at once, and leaves nothing behind', async () => {
    const before = takeStock()
    const upstream = await scriptedHttp()
    upstream.results.set('tools/call', '{"content":[{"type":"text","text":"done"}]}')
    const gateway = await createGateway({ mcpServers: { s: upstream.entry }, gateway: FREE_PORT })
    const { url, port } = await gateway.listen()
    expect(url).toBe(`http://127.0.0.1:${port}/mcp`)
    const session = await openSession(new URL(url).origin)
    expect(await session.call('s__t')).toBe('done')
    const stdio = new Lines()
    const served = gateway.connectStdio(stdio.input, stdio.output, { endpoint: 's' })
    expect(await stdio.call('t')).toContain('done')
    await gateway.close()
    await served
    await upstream[Symbol.asyncDispose]()
    await assertNothingLeft(before)
  })

  test('tells what happens, until the program removes it, and whatever its listener does', async () => {
    await using upstream = await scriptedHttp()
    upstream.results.set('tools/call', '{"content":[{"type":"text","text":"done"}]}')
    const gateway = await createGateway({ mcpServers: { s: upstream.entry } })
    const heard: string[] = []
    const off = gateway.on('request.ended', ({ request, trace, result }) => {
      heard.push(`${request.method} ${trace.route?.server} ${result}`)
      throw new Error('the listener is broken')
    })
    const types = new Set<string>()
    gateway.on('*', ({ type }) => void types.add(type))
    const stdio = new Lines()
    const served = gateway.connectStdio(stdio.input, stdio.output)
    expect(await stdio.call('s__t')).toContain('done')
    off()
    expect(await stdio.call('s__t')).toContain('done')
    await gateway.close()
    await served
    expect(heard.filter(line => line.startsWith('tools/call'))).toEqual(['tools/call s ok'])
    expect([...types]).toEqual(expect.arrayContaining(['session.opened', 'session.closed', 'shutdown.began']))
  })

  test('has its events in batches, and the number of those that a slow listener missed', async () => {
    const gateway = await createGateway({ mcpServers: {} })
    const taken: (GatewayEvent['type'] | number)[] = []
    const queue = new EventQueue({
      logger: console,
      take: events => {
        for (const event of events) taken.push(event.type === 'events.lost' ? event.count : event.type)
      },
      maxEvents: 1,
    })
    gateway.on('reload.applied', queue.listener)
    await gateway.reload({ mcpServers: {}, gateway: { log: 'debug' } })
    await vi.waitFor(() => expect(taken).toEqual(['reload.applied']), 5000)
    for (let time = 0; time < 3; time++) queue.listener({ type: 'shutdown.began', time })
    await gateway.close()
    await queue.close()
    expect(taken.slice(1)).toEqual(['shutdown.began', 2])
  })

  test('refuses everything but its status once it is closed', async () => {
    const gateway = await createGateway({ mcpServers: {}, gateway: FREE_PORT })
    await Promise.all([gateway.close(), gateway.close()])
    for (const use of [
      () => gateway.listen(),
      () => gateway.connectStdio(new PassThrough(), new PassThrough()),
      () => gateway.reload({ mcpServers: {} }),
      async () => gateway.handler(),
    ])
      await expect(use()).rejects.toMatchObject({ code: 'shutting_down' })
    expect(gateway.status()).toMatchObject({ calls: 0, servers: [] })
  })

  test('answers what is in flight before it closes, unless it has no time for that', async () => {
    for (const [options, expected] of [
      [{}, 'done'],
      [{ timeoutMs: 0 }, 'shutting down'],
    ] as const) {
      await using upstream = await scriptedHttp()
      const gateway = await createGateway({ mcpServers: { s: upstream.entry } })
      const stdio = new Lines()
      const served = gateway.connectStdio(stdio.input, stdio.output)
      const answer = stdio.call('s__t')
      const call = await upstream.called('t')
      const closed = gateway.close(options)
      setImmediate(() => call.answer('"result":{"content":[{"type":"text","text":"done"}]}'))
      expect(await answer).toContain(expected)
      await closed
      await served
    }
  })

  test('keeps a store open that the program has opened', async () => {
    const store = createMemoryStore()
    const gateway = await createGateway({ mcpServers: {} }, { store })
    await gateway.close()
    await store.set('key', 'kept')
    expect(await store.get('key')).toBe('kept')
    await store.close()
  })

  test('tells the program what it would log, from the configured level on, and no secret', async () => {
    const logger = recorder()
    const token = 'sk-0123456789abcdefghij'
    const b = { ...REFUSED, headers: { Authorization: `Bearer ${token}` } }
    const gateway = await createGateway({ mcpServers: { b }, gateway: { log: 'warn' } }, { logger })
    const stdio = new Lines()
    const served = gateway.connectStdio(stdio.input, stdio.output)
    expect(await stdio.call('b__x')).toContain('b')
    await gateway.close()
    await served
    const levels = new Set(logger.lines.map(line => line.split(' ')[0]))
    expect([...levels].sort()).toEqual(['warn'])
    expect(logger.lines.join('\n')).not.toContain(token)
  })

  test('tells the program more or less once a reload has changed the level', async () => {
    await using upstream = await scriptedHttp()
    upstream.results.set('tools/call', '{"content":[{"type":"text","text":"done"}]}')
    const logger = recorder()
    const at = (log: string): ConfigObject => ({ mcpServers: { s: upstream.entry }, gateway: { log } })
    const gateway = await createGateway(at('warn'), { logger })
    const stdio = new Lines()
    const served = gateway.connectStdio(stdio.input, stdio.output)
    const levelsOfCall = async (): Promise<string[]> => {
      logger.lines.length = 0
      expect(await stdio.call('s__t')).toContain('done')
      return [...new Set(logger.lines.map(line => line.split(' ')[0] ?? ''))]
    }
    await levelsOfCall()
    expect(await levelsOfCall()).toEqual([])
    await gateway.reload(at('debug'))
    expect(await levelsOfCall()).toContain('debug')
    await gateway.reload(at('warn'))
    expect(await levelsOfCall()).toEqual([])
    await gateway.close()
    await served
  })

  test('works on where the logger of the program throws', async () => {
    await using upstream = await scriptedHttp()
    upstream.results.set('tools/call', '{"content":[{"type":"text","text":"done"}]}')
    const fails = (): never => {
      throw new Error('the logger is broken')
    }
    const logger = { error: fails, warn: fails, info: fails, debug: fails }
    const source = { mcpServers: { s: upstream.entry }, gateway: { log: 'debug' } }
    const gateway = await createGateway(source, { logger })
    const stdio = new Lines()
    const served = gateway.connectStdio(stdio.input, stdio.output)
    expect(await stdio.call('s__t')).toContain('done')
    await gateway.close()
    await served
  })

  test('is unharmed by another one in the same process, whose servers have the same names', async () => {
    const before = takeStock()
    const server = { command: process.execPath, args: [CLOCK] }
    const [one, other] = [new Lines(), new Lines()]
    const [first, second] = await Promise.all([
      createGateway({ mcpServers: { clock: server }, clients: { ada: { deny: ['clock/zone'] } } }),
      createGateway({ mcpServers: { clock: server }, clients: { ada: {} } }),
    ])
    const served = [
      first.connectStdio(one.input, one.output, { client: 'ada' }),
      second.connectStdio(other.input, other.output, { client: 'ada' }),
    ]
    expect(await Promise.all([one.call('clock__zone'), other.call('clock__zone')])).toEqual([
      expect.stringContaining('"error"'),
      expect.stringContaining('"result"'),
    ])
    expect(await one.call('clock__time')).toContain('"result"')
    await first.close()
    expect(await other.call('clock__zone')).toContain('"result"')
    await second.close()
    await Promise.all(served)
    await assertNothingLeft(before)
  })

  test('shares a state folder with another one in the same process, which goes on when the first closes', async () => {
    await using scratch = makeScratch()
    const source = {
      mcpServers: { clock: { command: process.execPath, args: [CLOCK] } },
      gateway: { state: `lmdb:${scratch.path}/state` },
    }
    const [first, second] = await Promise.all([createGateway(source), createGateway(source)])
    const [one, other] = [new Lines(), new Lines()]
    const served = [first.connectStdio(one.input, one.output), second.connectStdio(other.input, other.output)]
    expect(await one.call('clock__zone')).toContain('"result"')
    await first.close()
    expect(await other.call('clock__zone')).toContain('"result"')
    await second.close()
    await Promise.all(served)
    // The lists that the first two have kept.
    const third = await createGateway(source)
    expect(third.status().servers).toMatchObject([{ name: 'clock', listed: true, state: 'idle' }])
    await third.close()
  })
})

/** A client over a pair of streams that asks one thing after the other. */
class Lines {
  readonly input = new PassThrough()
  readonly output = new PassThrough()
  readonly #lines = this.output[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  #lastId = 0
  #greeted: Promise<unknown> | undefined

  async call(name: string): Promise<string> {
    this.#greeted ??= this.#ask('initialize', {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'test', version: '1' },
    })
    await this.#greeted
    return await this.#ask('tools/call', { name, arguments: {} })
  }

  async #ask(method: string, params: object): Promise<string> {
    const id = ++this.#lastId
    this.input.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`)
    for (;;) {
      const { value, done } = await this.#lines.next()
      if (done) throw new Error('the stream has ended')
      for (const line of String(value).split('\n')) if (line.includes(`"id":${id}`)) return line
    }
  }
}
