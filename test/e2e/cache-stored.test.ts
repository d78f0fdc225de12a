import { rmSync } from 'node:fs'
import { setTimeout as later } from 'node:timers/promises'
import { open } from 'lmdb'
import { createClient } from '@redis/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { CacheReports } from '../../src/cache/shared/reports.ts'
import { SILENT } from '../../src/core/logger.ts'
import { openStore } from '../../src/state/open.ts'
import type { Store } from '../../src/state/store.ts'
import { callAs } from '../helpers/callers.ts'
import { hasRedis, startRedis, type RedisServer } from '../helpers/redis-server.ts'
import { freePort } from '../helpers/served.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'
import { scriptedHttp, toolText, type ScriptedServer } from '../helpers/scripted-servers.ts'
import { serveGateway, type Served } from '../helpers/served.ts'
import { runProgram } from '../unit/cli/program.ts'
import { median } from '../helpers/running-time.ts'

/** What is kept beyond one process: gateways in processes of their own, over a real LMDB and a real Redis, with the command beside them. */

const MARK = 'io.github.mcp-manifold/cache'
/** Counts are reported every five seconds, and the machine may be busy. */
const REPORTED = { interval: 250 }
/** What others did is read once a second. */
const HEARD = { interval: 50 }

interface Mark {
  readonly hit: true
  readonly ageMs: number
  readonly tier: 'memory' | 'store'
  readonly stale: boolean
}
interface Answer {
  /** Which call of the server this answers, counted over all tools. */
  readonly n: number
  readonly mark: Mark | undefined
}

let next = 0

const CACHED = { cache: { ttl: '1h' } }
const TOOLS = { get: CACHED, other: { cache: { ttl: '1h', tags: ['o'] } }, large: CACHED, set: {} }

interface Running extends AsyncDisposable {
  readonly process: Served
  call(tool: string, args?: string): Promise<Answer>
  stop(): Promise<void>
}

/** What a test works with; each has its own, because all run at once. For the same reason `expect` is that of the test. */
interface Scene {
  readonly scratch: Scratch
  readonly server: ScriptedServer
  /** Calls that have reached the server. */
  readonly calls: readonly string[]
  /** Writes the configuration anew, which the next gateway and the next command read. */
  configure(state: string, gateway?: object, tools?: object): string
  run(file: string): Promise<Running>
  command(...args: string[]): Promise<string>
  stats(): Promise<CacheReports>
  look(state: string): Promise<Store>
  /** Names of what is stored, once there are so many. */
  stored(store: Store, count: number): Promise<string[]>
}

const it = test.extend<{ scene: Scene }>({
  scene: async ({ onTestFinished }, use) => {
    await using scratch = makeScratch()
    await using server = await scriptedHttp()
    const calls: string[] = []
    const tools = ['get', 'other', 'set', 'large'].map(name => toolText(name)).join()
    server.results.set('tools/list', `{"tools":[${tools}]}`)
    server.requests.onItem(({ params, answer }) => {
      const { name } = JSON.parse(params) as { name: string }
      calls.push(name)
      const more = name === 'large' ? `,"text":"${'lorem ipsum '.repeat(5000)}"` : ''
      answer(`"result":{"content":[],"n":${calls.length}${more}}`)
    })
    const command = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await runProgram(args, { cwd: scratch.path })
      expect([code, stderr]).toEqual([0, expect.any(String)])
      return stdout + stderr
    }
    await use({
      scratch,
      server,
      calls,
      configure: (state, gateway = {}, entries = TOOLS) =>
        scratch.write('servers.json', {
          mcpServers: { s: { ...server.entry, tools: entries } },
          gateway: { http: { port: 0 }, state, log: 'info', ...gateway },
        }),
      run: file => run(file, scratch),
      command,
      stats: async () => JSON.parse(await command('cache', 'stats', '--json')) as CacheReports,
      async look(state) {
        const store = await openStore(state, SILENT)
        onTestFinished(() => store.close())
        return store
      },
      async stored(store, count) {
        for (;;) {
          const keys = await store.keys('cache/')
          if (keys.length === count) return keys
          await later(50)
        }
      },
    })
  },
})

async function run(file: string, scratch: Scratch): Promise<Running> {
  const process = await serveGateway(file, { env: { HOME: scratch.path, XDG_STATE_HOME: scratch.path } })
  const client = await callAs(process.origin, undefined, { modern: next++ % 2 === 0 })
  if (!client) throw new Error('no endpoint')
  let stopped: Promise<void> | undefined
  const end = async (): Promise<void> => {
    await client[Symbol.asyncDispose]()
    expect(await process.stop()).toBe(0)
  }
  const stop = (): Promise<void> => (stopped ??= end())
  return {
    process,
    async call(tool, args = '{}') {
      const text = await client.request('tools/call', `{"name":"s__${tool}","arguments":${args}}`)
      const { result, error } = JSON.parse(text) as {
        result?: { n: number; _meta?: Record<string, Mark> }
        error?: object
      }
      if (!result) throw new Error(JSON.stringify(error))
      return { n: result.n, mark: result._meta?.[MARK] }
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

interface Place {
  readonly name: string
  /** A state of its own for each test. */
  readonly state: (scratch: Scratch) => string
  /** Puts bytes that no text has in the place of a value. */
  readonly spoil: (state: string, key: string) => Promise<void>
}

function describeOver({ name, state: place, spoil }: Place): void {
  describe.concurrent(name, () => {
    it.concurrent(
      'survives a restart when that is configured, and says where it was',
      async ({ scene, expect }) => {
        const { scratch, calls, configure, run, look, stored } = scene
        const state = place(scratch)
        const file = configure(state)
        const first = await run(file)
        const numbers = [0, 1, 2, 3]
        for (const tool of ['get', 'large'])
          for (const b of numbers)
            expect((await first.call(tool, `{"b":${b},"a":[1.0]}`)).mark).toBeUndefined()
        expect((await first.call('get', '{"a":[1],"b":1}')).mark).toMatchObject({ tier: 'memory' })
        const store = await look(state)
        await first.stop()
        const texts = await store.getMany(await stored(store, 8))
        // Larger ones are compressed.
        expect(texts.join().length).toBeLessThan(40_000)

        // Only what comes in time is waited for, which on a busy machine may take more than one start.
        const seen = new Set<string>()
        for (let start = 0; start < 5 && seen.size < 2; start++) {
          await using second = await run(file)
          const answered = calls.length
          for (const tool of ['get', 'large'])
            for (const b of numbers) {
              const { mark, n } = await second.call(tool, `{ "a": [1e0], "b": ${b} }`)
              if (!mark) continue
              expect(mark).toEqual({ hit: true, ageMs: expect.any(Number), tier: 'store', stale: false })
              expect(n).toBeLessThanOrEqual(answered)
              expect(calls[n - 1]).toBe(tool)
              if (start === 0) expect(n).toBe((tool === 'get' ? 0 : 4) + b + 1)
              seen.add(tool)
            }
          for (const b of numbers)
            expect((await second.call('get', `{"a":[1],"b":${b}}`)).mark).toMatchObject({ tier: 'memory' })
        }
        expect([...seen].sort()).toEqual(['get', 'large'])

        // Not when it is not configured: neither written nor read.
        const plain = configure(state, { cache: { persist: false } })
        await using third = await run(plain)
        const before = calls.length
        expect((await third.call('get', '{"a":[1],"b":1}')).mark).toBeUndefined()
        await third.call('get', '{"a":2}')
        expect(calls).toHaveLength(before + 2)
        await third.stop()
        expect(await store.keys('cache/')).toHaveLength(8)
      },
    )

    it.concurrent(
      'is counted and cleared by the command beside a running gateway',
      async ({ scene, expect }) => {
        const { scratch, configure, run, command, stats, look, stored } = scene
        const state = place(scratch)
        await using gateway = await run(configure(state))
        for (const tool of ['get', 'get', 'other', 'large']) await gateway.call(tool)
        const store = await look(state)
        await stored(store, 3)
        await expect
          .poll(
            async () => (await stats()).tools.map(({ tool, hits, misses }) => [tool, hits, misses]),
            REPORTED,
          )
          .toEqual([
            ['get', 1, 1],
            ['large', 0, 1],
            ['other', 0, 1],
          ])
        const { tools, memory, stored: kept } = await stats()
        expect(tools[0]).toMatchObject({ server: 's', stores: 1, bytesSaved: expect.any(Number) })
        expect(tools[0]?.bytesSaved).toBeGreaterThan(10)
        expect(tools[0]?.upstreamMsSaved).toBeGreaterThan(0)
        expect(memory).toMatchObject({ entries: 3 })
        expect(kept).toMatchObject({ entries: 3, written: 3, misses: 3, damaged: 0 })
        expect(kept.bytes).toBeGreaterThan(500)
        // Less than a result has that it is compressed.
        expect(kept.bytes).toBeLessThan(20_000)
        expect(await command('cache', 'stats')).toMatch(/\n *store +3 +\d+ +268435456 /)

        expect(await command('cache', 'clear', 's/get')).toContain('Cleared s/get: 1 stored result,')
        expect((await gateway.call('get')).mark).toBeUndefined()
        expect((await gateway.call('other')).mark).toMatchObject({ tier: 'memory' })
        await stored(store, 3)
        expect(await command('cache', 'clear', 's')).toContain('Cleared s: 3 stored results')
        for (const tool of ['get', 'other', 'large']) expect((await gateway.call(tool)).mark).toBeUndefined()
        expect((await gateway.call('get')).mark).toBeDefined()
        await stored(store, 3)
        expect(await command('cache', 'clear')).toContain('Cleared everything: 3 stored results')
        expect((await gateway.call('get')).mark).toBeUndefined()
      },
    )

    it.concurrent(
      'is forgotten by a call of another gateway that changes something',
      async ({ scene, expect }) => {
        const { scratch, configure, run } = scene
        const file = configure(place(scratch), {}, { ...TOOLS, set: { invalidates: ['o'] } })
        await using one = await run(file)
        await using other = await run(file)
        await one.call('get')
        await other.call('other')
        // Each gives what the other has fetched.
        await expect.poll(async () => (await other.call('get')).mark?.tier, HEARD).toBeDefined()
        await expect.poll(async () => (await one.call('other')).mark?.tier, HEARD).toBeDefined()
        const before = await other.call('other')
        await one.call('set')
        // At once where it was called, within about a second elsewhere.
        expect((await one.call('other')).mark).toBeUndefined()
        await expect.poll(async () => (await other.call('other')).n, HEARD).toBeGreaterThan(before.n)
        // And only what has the tag.
        expect((await other.call('get')).mark).toBeDefined()

        // What is written meanwhile by one that has not heard of it is not delivered: a third sees nothing from before the change.
        const changed = await other.call('set')
        await using third = await run(file)
        const found = await third.call('other')
        expect(found.n).toBeGreaterThan(changed.n)
      },
    )

    it.concurrent('drops what has been damaged, counts it, and stores it anew', async ({ scene, expect }) => {
      const { scratch, calls, configure, run, command, stats, look, stored } = scene
      const state = place(scratch)
      const file = configure(state)
      const first = await run(file)
      const args = ['{"a":0}', '{"a":1}', '{"a":2}', '{"a":3}']
      for (const one of args) await first.call('get', one)
      const store = await look(state)
      const names = await stored(store, 4)
      await first.stop()
      const [bytes, version, swapped] = names as [string, string, string, string]
      await spoil(state, bytes)
      await store.set(version, `2${(await store.get(version))?.slice(1)}`)
      await store.set(swapped, (await store.get(names[3] as string)) as string)

      await using second = await run(file)
      // What is under the fourth name is good; which of them that is, only the gateway knows.
      const answers = []
      for (const one of args) answers.push(await second.call('get', one))
      expect(answers.filter(({ mark }) => mark)).toHaveLength(1)
      answers.forEach(({ mark, n }, at) => expect(n, `${at}`).toBe(mark ? at + 1 : n))
      expect(calls).toHaveLength(7)
      await expect.poll(async () => (await stats()).stored, REPORTED).toMatchObject({ damaged: 3, hits: 1 })
      expect(await command('cache', 'stats')).toContain('damaged')
      await second.stop()
      await using third = await run(file)
      await stored(store, 4)
      for (const one of args)
        await expect.poll(async () => (await third.call('get', one)).mark, HEARD).toBeDefined()
      expect(calls).toHaveLength(7)
    })
  })
}

describeOver({
  name: 'LMDB',
  state: scratch => `lmdb:${scratch.path}/state`,
  async spoil(state, key) {
    const path = state.slice('lmdb:'.length)
    const database = open<Buffer, Buffer>({
      path,
      noSubdir: false,
      encoding: 'binary',
      keyEncoding: 'binary',
    })
    const expiry = Buffer.alloc(8)
    expiry.writeDoubleBE(Infinity)
    await database.put(Buffer.from(`m1/${key}`), Buffer.concat([expiry, Buffer.from([0xff, 0xfe, 0, 0xc3])]))
    await database.close()
  },
})

const withRedis = hasRedis() ? describe.concurrent : describe.skip
withRedis('with a Redis', () => {
  let redis: RedisServer
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis.stop())
  const prefixOf = (state: string): string => new URL(state).searchParams.get('prefix') ?? ''

  describeOver({
    name: 'Redis',
    state: () => `${redis.url}/0?prefix=t${next++}:`,
    async spoil(state, key) {
      const client = createClient({ url: redis.url })
      await client.connect()
      await client.set(prefixOf(state) + key, Buffer.from([0xff, 0xfe, 0, 0xc3]))
      client.destroy()
    },
  })

  it.concurrent(
    'is done without while the Redis is gone, and used again when it is there',
    async ({ scene, expect, onTestFinished }) => {
      const { calls, configure, run, look, stored } = scene
      const port = await freePort()
      const first = await startRedis(port)
      onTestFinished(() => first.stop())
      await using gateway = await run(configure(first.url))
      await gateway.call('get')
      expect((await gateway.call('get')).mark).toMatchObject({ tier: 'memory' })
      await stored(await look(first.url), 1)
      await first.stop()
      // What is in memory is given, the rest is fetched, and neither waits for what is away.
      expect((await gateway.call('get')).mark).toMatchObject({ tier: 'memory' })
      const timed = async (at: number): Promise<{ mark: Mark | undefined; ms: number }> => {
        const since = performance.now()
        const { mark } = await gateway.call('get', `{"a":${at}}`)
        return { mark, ms: performance.now() - since }
      }
      const fetched = []
      const hits = []
      for (let at = 0; at < 21; at++) fetched.push(await timed(at))
      for (let at = 0; at < 21; at++) hits.push(await timed(at))
      for (const { mark } of fetched) expect(mark).toBeUndefined()
      for (const { mark } of hits) expect(mark).toBeDefined()
      // A look-up that is waited for takes 200 ms. Medians, because the machine may stand still during some of them.
      const [slow, quick] = [fetched, hits].map(calls => median(calls.map(({ ms }) => ms))) as [
        number,
        number,
      ]
      expect(slow - quick).toBeLessThan(150)
      expect((await gateway.call('set')).mark).toBeUndefined()
      expect((await gateway.call('get')).mark).toBeUndefined()
      expect(calls.filter(name => name === 'get')).toHaveLength(23)

      const again = await startRedis(port)
      onTestFinished(() => again.stop())
      const store = await look(again.url)
      let at = 0
      await expect
        .poll(async () => {
          await gateway.call('get', `{"again":${at++}}`)
          return (await store.keys('cache/')).length
        }, HEARD)
        .toBeGreaterThan(0)
      await using other = await run(configure(again.url))
      // The first results are those of an epoch that the new Redis does not have. Afterwards each gives what the other has stored.
      await expect
        .poll(async () => {
          const args = `{"both":${at++}}`
          const before = new Set(await store.keys('cache/'))
          await gateway.call('get', args)
          // Stored a moment after the answer.
          await expect
            .poll(async () => (await store.keys('cache/')).filter(name => !before.has(name)), HEARD)
            .not.toEqual([])
          return (await other.call('get', args)).mark?.tier
        }, HEARD)
        .toBe('store')
      await gateway.stop()
      expect(gateway.process.said).toContain('cannot be reached')
      expect(gateway.process.said).toContain('can be reached again')
    },
  )
})

it.concurrent('does not survive a restart in memory', async ({ scene, expect }) => {
  const { configure, run } = scene
  const file = configure('memory')
  const first = await run(file)
  await first.call('get')
  expect((await first.call('get')).mark).toMatchObject({ tier: 'memory' })
  await first.stop()
  await using second = await run(file)
  expect((await second.call('get')).mark).toBeUndefined()
})

it.concurrent(
  'is fetched anew when the definition of the tool has changed while the gateway was down',
  async ({ scene, expect }) => {
    const { scratch, server, configure, run } = scene
    const file = configure(`lmdb:${scratch.path}/state`)
    const first = await run(file)
    await first.call('get')
    await first.call('other')
    await first.stop()
    const tools = [toolText('get', ',"description":"new"'), toolText('other')].join()
    server.results.set('tools/list', `{"tools":[${tools}]}`)
    await using second = await run(file)
    // The server is not started for what is known. As soon as it is, it says what it offers now.
    expect((await second.call('get')).n).toBe(1)
    expect((await second.call('other', '{"a":1}')).n).toBe(3)
    await expect.poll(async () => (await second.call('get')).n, HEARD).toBe(4)
    expect((await second.call('other')).n).toBe(2)
  },
)

it.concurrent('is not served by a gateway with other rules', async ({ scene, expect }) => {
  const { scratch, configure, run } = scene
  const state = `lmdb:${scratch.path}/state`
  const first = await run(configure(state, {}, { get: { cache: { ttl: '1h', ignoreArgs: ['id'] } } }))
  await first.call('get', '{"id":1,"a":1}')
  expect((await first.call('get', '{"id":2,"a":1}')).mark).toBeDefined()
  await first.stop()
  await using second = await run(configure(state, {}, { get: CACHED }))
  expect((await second.call('get', '{"a":1}')).mark).toBeUndefined()
})

it.concurrent('is still good without its counts, and without a store at all', async ({ scene, expect }) => {
  const { scratch, configure, run } = scene
  const state = `${scratch.path}/state`
  const first = await run(configure(`lmdb:${state}`))
  await first.call('get')
  await first.stop()
  rmSync(state, { recursive: true })
  await using second = await run(configure(`lmdb:${state}`))
  expect((await second.call('get')).mark).toBeUndefined()
  expect((await second.call('get')).mark).toMatchObject({ tier: 'memory' })
})
