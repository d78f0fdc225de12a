import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { openLmdbStore } from '../../../src/state/lmdb.ts'
import { describeAmounts } from '../../contract/amounts.ts'
import { describeStore } from '../../contract/store.ts'

let root = ''
let next = 0

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'manifold-lmdb-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

const folder = (): string => join(root, `state.${next++}`, 'inner')

let opened = ''
describeStore(
  'lmdb',
  async now => openLmdbStore((opened = folder()), { now }),
  async now => openLmdbStore(opened, { now }),
)
describeAmounts('lmdb', async now => {
  const path = folder()
  return [openLmdbStore(path, { now }), openLmdbStore(path, { now })]
})

/** Another process that writes into the folder; see the program for its lines. */
function startWriter(
  path: string,
  ...args: string[]
): { child: ChildProcess; lines: AsyncIterableIterator<string> } {
  const program = new URL('../../fixtures/programs/store-writer.js', import.meta.url).pathname
  const child = spawn(process.execPath, [program, path, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return { child, lines: createInterface({ input: child.stdout! })[Symbol.asyncIterator]() }
}

it('keeps the folder to its user', async () => {
  const path = folder()
  const store = openLmdbStore(path)
  expect((await stat(path)).mode & 0o777).toBe(0o700)
  expect((await stat(join(path, 'data.mdb'))).mode & 0o777).toBe(0o600)
  await store.close()
})

it('remembers after it was closed', async () => {
  const path = folder()
  const first = openLmdbStore(path)
  await first.set('a', '1')
  await first.close()
  const second = openLmdbStore(path)
  expect(await second.get('a')).toBe('1')
  await second.close()
})

it('is shared by two stores of one process', async () => {
  const path = folder()
  const first = openLmdbStore(path)
  const second = openLmdbStore(path)
  await first.set('a', '1')
  expect(await second.get('a')).toBe('1')
  await first.close()
  await second.set('a', '2')
  expect(await second.get('a')).toBe('2')
  await second.close()
})

it('removes expired values from the file, and only those', async () => {
  const path = folder()
  let time = 1_000_000
  const store = openLmdbStore(path, { now: () => time })
  for (let index = 0; index < 50; index++) await store.set(`old/${index}`, 'x'.repeat(10_000), { ttlMs: 10 })
  await store.set('old/7', 'renewed', { ttlMs: 10_000_000 })
  await store.set('kept', 'for ever')
  time += 120_000
  await store.set('new', '1', { ttlMs: 1000 })
  // A clock set back shows what is still there.
  time -= 120_000
  expect(await store.keys('')).toEqual(['kept', 'new', 'old/7'])
  await store.close()
})

it('removes amounts when their last renewal has expired, and not before', async () => {
  const path = folder()
  let time = 1_000_000
  const store = openLmdbStore(path, { now: () => time })
  const take = (key: string): Promise<unknown> =>
    store.take({ key, limit: 9, window: { slidingMs: 60_000 }, want: 1, atLeast: 1, spend: 0 })
  await take('renewed')
  time += 50_000
  await take('renewed')
  // What was first in the index is due, and swept with this.
  time += 50_000 + 24 * 60 * 60 * 1000
  await take('other')
  expect((await store.keys('')).sort()).toEqual(['other', 'renewed'])
  // And the renewal, in turn.
  time += 70_000
  await take('other')
  time -= 70_000
  expect(await store.keys('')).toEqual(['other'])
  await store.close()
})

it('shares a commit among simultaneous writes, and answers each', async () => {
  const store = openLmdbStore(folder())
  const take = (key: string): Promise<{ granted: number }> =>
    store.take({ key, limit: 3, window: { slidingMs: 60_000 }, want: 1, atLeast: 1, spend: 0 })
  await store.set('broken', 'no amounts')
  const broken = store.hold({ key: 'broken', holder: 'h', want: 1, limit: 1, ttlMs: 1000 })
  const taken = Promise.all(['a', 'b', 'a', 'a', 'a'].map(take))
  await expect(broken).rejects.toThrow()
  expect((await taken).map(({ granted }) => granted)).toEqual([1, 1, 1, 1, 0])
  const last = take('b')
  await store.close()
  expect((await last).granted).toBe(1)
})

it('takes writers in two processes at once, and sees what the others wrote', async () => {
  const path = folder()
  const store = openLmdbStore(path)
  const writers = ['p', 'q'].map(name => startWriter(path, 'count', name, '200'))
  const own = Array.from({ length: 200 }, (_, index) => store.set(`own/${index}`, String(index)))
  await Promise.all(own)
  for (const { child } of writers) if (child.exitCode === null) await once(child, 'exit')
  expect(writers.map(({ child }) => child.exitCode)).toEqual([0, 0])
  for (const name of ['p', 'q', 'own']) expect(await store.keys(`${name}/`)).toHaveLength(200)
  await store.close()
})

it('has every acknowledged write after a process was killed', async () => {
  const path = folder()
  const { child, lines } = startWriter(path, 'forever')
  let acknowledged = -1
  for await (const line of lines) {
    acknowledged = Number(line)
    if (acknowledged === 40) child.kill('SIGKILL')
  }
  expect(acknowledged).toBeGreaterThanOrEqual(40)
  const store = openLmdbStore(path)
  const values = await store.getMany(Array.from({ length: acknowledged + 1 }, (_, index) => `n/${index}`))
  expect(values).toEqual(values.map((_, index) => `value ${index}`))
  // The lock of the dead process does not hold up the living.
  await store.set('after', '1')
  await store.close()
})
