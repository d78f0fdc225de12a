import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect } from 'vitest'
import { SILENT } from '../../../../src/core/logger.ts'
import { openStore } from '../../../../src/state/open.ts'
import { startGateway } from '../../../helpers/gateway.ts'
import { openSession, type HttpClient } from '../../../helpers/http-client.ts'
import { makeScratch } from '../../../helpers/scratch.ts'
import { scriptedHttp, type ScriptedServer } from '../../../helpers/scripted-servers.ts'
import { unclosed } from '../../../helpers/unclosed-store.ts'
import { reload, type File, type KeyTest, type KeyTests } from './change.ts'

/** What a change of each key of the cache and of the audit log does to what they keep. */

const SCRATCH = makeScratch()
afterAll(async () => await SCRATCH[Symbol.asyncDispose]())

const POLL = { timeout: 10_000, interval: 50 }
const KIB = 1024
let folders = 0

interface Cached {
  readonly server: ScriptedServer
  /** Calls with each `n` from the first to the last; how many of them reach the server. */
  reached(first: number, last: number): Promise<number>
  /** The same through another gateway with the same state, which has nothing in memory. */
  reachedElsewhere(first: number, last: number): Promise<number>
  /** How many results are in the state. */
  stored(): Promise<number>
  /**
   * Calls with a new `n` each, beginning at 1000, until so many more results are in the state, and gives the last `n`. The gateway stores nothing until it has
   * read what other processes did.
   */
  store(count: number): Promise<number>
  /** Whether the files of the state have a text as it is. */
  hasPlain(text: string): boolean
  turn(cache: object): Promise<void>
}

/** What the tool gives, of so many bytes. */
const textOf = (word: string, bytes: number): string => `${word} `.repeat(bytes / (word.length + 1))

/** A gateway that keeps results of a tool, in memory and in LMDB. */
function cached(cache: object, bytes: number, run: (scene: Cached) => Promise<void>): KeyTest {
  return async () => {
    await using server = await scriptedHttp()
    give(server, textOf('first', bytes))
    const folder = join(SCRATCH.path, `state-${++folders}`)
    let settings = cache
    const file = (): File & { gateway: File } => ({
      mcpServers: { a: { ...server.entry, tools: { t: { cache: { ttl: '1h' } } } } },
      gateway: { cache: settings },
    })
    const state = await openStore(`lmdb:${folder}`, SILENT)
    expect(state.name).toContain('lmdb:')
    await using running = await startGateway(file(), { store: state })
    const calls = (): number => server.messages.all.filter(text => text.includes('"tools/call"')).length
    const reaching = async (client: HttpClient, first: number, last: number): Promise<number> => {
      const before = calls()
      for (let n = first; n <= last; n++) await client.call('a__t', { n })
      return calls() - before
    }
    const client = await openSession(running.origin)
    const stored = async (): Promise<number> => (await state.keys('cache/')).length
    let last = 1000
    await run({
      server,
      stored,
      async store(count) {
        const enough = (await stored()) + count
        const one = async (): Promise<number> => {
          last++
          await reaching(client, last, last)
          return await stored()
        }
        await expect.poll(one, POLL).toBeGreaterThanOrEqual(enough)
        return last
      },
      reached: (first, last) => reaching(client, first, last),
      async reachedElsewhere(first, last) {
        await using other = await startGateway(file(), { store: unclosed(state) })
        return await reaching(await openSession(other.origin), first, last)
      },
      hasPlain: text => readFileSync(join(folder, 'data.mdb')).includes(text),
      async turn(next) {
        settings = next
        const report = await reload(running.gateway, file())
        expect(report).toMatchObject({ applied: true, notReloadable: [] })
      },
    })
  }
}

const give = (server: ScriptedServer, text: string): void =>
  void server.results.set('tools/call', `{"content":[{"type":"text","text":"${text}"}]}`)

/** Results that fit before the change, and not after it. */
const memory = (before: object, after: object, bytes: number): KeyTest =>
  cached({ persist: false, ...before }, bytes, async ({ reached, turn }) => {
    expect([await reached(1, 5), await reached(1, 5)]).toEqual([5, 0])
    await turn({ persist: false, ...after })
    expect(await reached(1, 5)).toBeGreaterThan(0)
  })

const persist = cached({ persist: false }, KIB, async ({ reached, reachedElsewhere, store, turn }) => {
  await reached(1, 1)
  expect(await reachedElsewhere(1, 1)).toBe(1)
  await turn({ persist: true })
  const last = await store(2)
  expect(await reachedElsewhere(last - 1, last)).toBeLessThan(2)
})

const PLAIN = { compressOver: '1GiB' }

const maxStored = cached(
  { ...PLAIN, maxStored: '64MiB' },
  240 * KIB,
  async ({ reached, stored, store, turn }) => {
    await store(6)
    await turn({ ...PLAIN, maxStored: '1MiB' })
    let n = 1
    const after = async (): Promise<number> => {
      await reached(n, n++)
      return await stored()
    }
    // There is room for four as soon as one more is stored.
    await expect.poll(after, POLL).toBeLessThanOrEqual(4)
  },
)

const compressOver = cached(PLAIN, 8 * KIB, async ({ server, store, hasPlain, turn }) => {
  await store(1)
  expect(hasPlain(textOf('first', 100))).toBe(true)
  await turn({ compressOver: '256B' })
  give(server, textOf('second', 8 * KIB))
  await store(2)
  expect(hasPlain(textOf('second', 100))).toBe(false)
})

interface Audited {
  /** Calls with large arguments, until they are in the log. */
  fill(): Promise<void>
  /** Files of the log. */
  files(): readonly string[]
  last(): string
  turn(audit: object): Promise<void>
}

function audited(audit: object, run: (scene: Audited) => Promise<void>): KeyTest {
  return async () => {
    await using server = await scriptedHttp()
    give(server, 'well')
    const log = join(SCRATCH.path, `audit-${++folders}`, 'audit.jsonl')
    const file = (settings: object): File & { gateway: File } => ({
      mcpServers: { a: server.entry },
      gateway: { audit: { file: log, ...settings } },
    })
    await using running = await startGateway(file(audit))
    const client = await openSession(running.origin)
    const files = (): string[] => {
      const folder = join(log, '..')
      const names = existsSync(folder) ? readdirSync(folder) : []
      return names.filter(name => !name.endsWith('.lock')).map(name => join(folder, name))
    }
    const last = (): string =>
      existsSync(log) ? (readFileSync(log, 'utf8').trim().split('\n').at(-1) ?? '') : ''
    let filled = 0
    await run({
      files,
      last,
      async fill() {
        const n = ++filled
        for (let at = 0; at < 4; at++) await client.call('a__t', { text: 'x'.repeat(15_000) })
        await client.call('a__t', { n })
        const digest = createHash('sha256').update(`{"n":${n}}`).digest('hex').slice(0, 16)
        await expect.poll(last, POLL).toMatch(new RegExp(`"args":(?:"${digest}"|\\{"n":${n}\\})`))
      },
      async turn(settings) {
        const report = await reload(running.gateway, file(settings))
        expect(report).toMatchObject({ applied: true, notReloadable: [] })
      },
    })
  }
}

const args = audited({ args: 'digest' }, async ({ fill, last, turn }) => {
  await fill()
  expect(last()).toMatch(/"args":"[0-9a-f]{16}"/)
  await turn({ args: 'full' })
  await fill()
  expect(last()).toContain('"args":{"n":2}')
})

const FULL = { args: 'full' }
const SMALL = { ...FULL, maxSize: '64KiB' }

const maxSize = audited(FULL, async ({ fill, files, turn }) => {
  for (let times = 0; times < 2; times++) await fill()
  expect(files()).toHaveLength(1)
  await turn(SMALL)
  await fill()
  await expect.poll(() => files().length, POLL).toBeGreaterThan(1)
})

const maxFiles = audited({ ...SMALL, maxFiles: 30 }, async ({ fill, files, turn }) => {
  for (let times = 0; times < 4; times++) await fill()
  expect(files().length).toBeGreaterThan(2)
  await turn({ ...SMALL, maxFiles: 2 })
  for (let times = 0; times < 2; times++) await fill()
  await expect.poll(() => files().length, POLL).toBe(2)
})

export const KEPT_KEYS: KeyTests = {
  'gateway.cache.maxSize': memory(
    { maxSize: '64MiB', maxSizePerClient: '64MiB' },
    { maxSize: '1MiB', maxSizePerClient: '64MiB' },
    240 * KIB,
  ),
  'gateway.cache.maxSizePerClient': memory(
    { maxSizePerClient: '16MiB' },
    { maxSizePerClient: '64KiB' },
    15 * KIB,
  ),
  'gateway.cache.persist': persist,
  'gateway.cache.maxStored': maxStored,
  'gateway.cache.compressOver': compressOver,
  'gateway.audit.args': args,
  'gateway.audit.maxSize': maxSize,
  'gateway.audit.maxFiles': maxFiles,
}
