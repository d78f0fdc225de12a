import { expect, onTestFinished, test, vi } from 'vitest'
import { SILENT } from '../../../src/core/logger.ts'
import { DrainWatch } from '../../../src/state/drain-watch.ts'
import {
  deleteDrained,
  drainVersion,
  includes,
  readDrained,
  readReports,
  writeDrained,
  type Drained,
} from '../../../src/state/drained.ts'
import { createMemoryStore } from '../../../src/state/memory.ts'
import type { Store } from '../../../src/state/store.ts'

function storeOf(): Store {
  const store = createMemoryStore()
  onTestFinished(() => store.close())
  return store
}

const plain = (drained: Drained | undefined) =>
  drained && Object.fromEntries([...drained].map(([server, names]) => [server, [...names].sort()]))

test('names may hold anything, and one of them is undone without the others', async () => {
  const store = storeOf()
  await writeDrained(store, 'a/b', 'x/10.0.0.1')
  await writeDrained(store, 'a/b', '[fd00::1]:80')
  await writeDrained(store, 'a', '')
  expect(plain(await readDrained(store))).toEqual({ 'a/b': ['[fd00::1]:80', 'x/10.0.0.1'], a: [''] })
  expect(await deleteDrained(store, 'a/b', 'x')).toEqual([])
  expect(await deleteDrained(store, 'a/b', 'x/10.0.0.1')).toEqual(['x/10.0.0.1'])
  expect(plain(await readDrained(store))).toEqual({ 'a/b': ['[fd00::1]:80'], a: [''] })
  expect(await deleteDrained(store, 'a/b', undefined)).toEqual(['[fd00::1]:80'])
  expect(plain(await readDrained(store))).toEqual({ a: [''] })
})

test('a running gateway gets it, reports the calls in flight, and reports nothing without any', async () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const store = storeOf()
  const reads = vi.spyOn(store, 'keys')
  const writes = vi.spyOn(store, 'set')
  const heard: (Drained | undefined)[] = []
  let calls = 2
  const watch = new DrainWatch({
    store,
    onChange: drained => heard.push(drained),
    inFlight: () => ({ a: { r: calls } }),
    logger: SILENT,
  })
  onTestFinished(() => watch.close())
  await watch.start()
  await vi.advanceTimersByTimeAsync(5000)
  expect([heard.length, reads.mock.calls.length, writes.mock.calls.length]).toEqual([0, 0, 0])

  const version = await writeDrained(store, 'a', 'r')
  await vi.advanceTimersByTimeAsync(1000)
  expect(heard.map(plain)).toEqual([{ a: ['r'] }])
  expect(await readReports(store)).toEqual([{ version, inFlight: { a: { r: 2 } } }])
  calls = 0
  await vi.advanceTimersByTimeAsync(1000)
  expect(await readReports(store)).toEqual([{ version, inFlight: { a: { r: 0 } } }])
  const before = [reads.mock.calls.length, writes.mock.calls.length]
  await vi.advanceTimersByTimeAsync(60_000)
  expect([reads.mock.calls.length, writes.mock.calls.length]).toEqual(before)
  expect(heard).toHaveLength(1)
  await deleteDrained(store, 'a', undefined)
  await vi.advanceTimersByTimeAsync(1000)
  expect(heard.map(plain)).toEqual([{ a: ['r'] }, {}])
})

test('a store that is unreachable for a while loses no change', async () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const store = storeOf()
  const heard: unknown[] = []
  await writeDrained(store, 'a', 'r')
  const watch = new DrainWatch({
    store,
    onChange: drained => heard.push(plain(drained)),
    inFlight: () => ({}),
    logger: SILENT,
  })
  onTestFinished(() => watch.close())
  const away = vi.spyOn(store, 'get').mockRejectedValue(new Error('away'))
  await watch.start()
  await vi.advanceTimersByTimeAsync(3000)
  expect(heard).toEqual([])
  away.mockRestore()
  await vi.advanceTimersByTimeAsync(1000)
  expect(heard).toEqual([{ a: ['r'] }])
})

test('a later drain has a later version although the clock of its machine is behind', async () => {
  vi.useFakeTimers({ now: Date.UTC(2030, 0, 1) })
  onTestFinished(() => void vi.useRealTimers())
  const store = storeOf()
  const versions = [await writeDrained(store, 'a', 'r')]
  vi.setSystemTime(Date.UTC(2029, 0, 1))
  // Their numbers grow by a digit meanwhile.
  for (let times = 0; times < 10; times++) versions.push(await writeDrained(store, 'a', 'r'))
  for (const [index, version] of versions.entries())
    expect(versions.map(other => includes(other, version))).toEqual(versions.map((_, at) => at >= index))
})

test('of drains at the same time, the last version is the one that stays', async () => {
  const store = storeOf()
  const set = store.set.bind(store)
  // The first writer is slow: its version is written after that of the second one.
  let slow: (() => void) | undefined
  vi.spyOn(store, 'set').mockImplementation(async (key, value, options) => {
    if (key === 'drain-version' && slow === undefined) await new Promise<void>(resolve => (slow = resolve))
    await set(key, value, options)
  })
  const first = writeDrained(store, 'a', 'r')
  await vi.waitFor(() => expect(slow).toBeDefined())
  const second = await writeDrained(store, 'a', 's')
  slow?.()
  const kept = [await first, second].map(async version =>
    includes((await drainVersion(store)) as string, version),
  )
  expect(await Promise.all(kept)).toEqual([true, true])
})

test('a change after the store was emptied counts, although its number was used before', async () => {
  const stores = [storeOf(), storeOf()]
  const [before, after] = await Promise.all(stores.map(store => writeDrained(store, 'a', 'r')))
  expect(before).not.toBe(after)
})

test('what is no report is left out', async () => {
  const store = storeOf()
  for (const [at, text] of [
    '{',
    'null',
    '[]',
    '{"version":1,"inFlight":{}}',
    '{"version":"1","inFlight":{"a":1}}',
  ].entries())
    await store.set(`drain-report/${at}`, text)
  await store.set('drain-report/good', '{"version":"1-x","inFlight":{"a":{"r":2}}}')
  expect(await readReports(store)).toEqual([{ version: '1-x', inFlight: { a: { r: 2 } } }])
})
