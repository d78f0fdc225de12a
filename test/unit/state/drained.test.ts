import { expect, onTestFinished, test, vi } from 'vitest'
import { SILENT } from '../../../src/core/logger.ts'
import { DrainWatch } from '../../../src/state/drain-watch.ts'
import {
  deleteDrained,
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

test('a running gateway hears of it, says what is in flight, and is silent when that is nothing', async () => {
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

test('a store that is away for a while keeps nothing from being heard', async () => {
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
