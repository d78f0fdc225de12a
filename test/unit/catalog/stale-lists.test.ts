import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { StaleLists } from '../../../src/catalog/stale-lists.ts'

/** When old lists are fetched again. */

let stale: string[]
let refreshed: string[]
let lists: StaleLists

const listsOf = (maxAgeMs: number): StaleLists =>
  (lists = new StaleLists(
    {
      stale: () => stale,
      refresh: name => {
        refreshed.push(name)
        return Promise.resolve()
      },
    },
    maxAgeMs,
  ))
const HOUR = 3_600_000

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] })
  stale = ['a']
  refreshed = []
})
afterEach(() => {
  lists.close()
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
})

test('lists that are old at the start are fetched again after a moment', () => {
  listsOf(HOUR).start()
  vi.advanceTimersByTime(1999)
  expect(refreshed).toEqual([])
  vi.advanceTimersByTime(1)
  expect(refreshed).toEqual(['a'])
})

test('lists that become old while the gateway runs are fetched again', () => {
  stale = []
  listsOf(HOUR).start()
  vi.advanceTimersByTime(HOUR)
  expect(refreshed).toEqual([])
  stale = ['b']
  vi.advanceTimersByTime(60_000)
  expect(refreshed).toEqual(['b'])
})

test('a server that cannot be listed is tried once in that time', () => {
  listsOf(HOUR).start()
  vi.advanceTimersByTime(HOUR - 60_000)
  expect(refreshed).toEqual(['a'])
  vi.advanceTimersByTime(120_000)
  expect(refreshed).toEqual(['a', 'a'])
})

test('with "never", no list is old, at the start and later', () => {
  listsOf(0).start()
  vi.advanceTimersByTime(48 * HOUR)
  expect(refreshed).toEqual([])
  expect(vi.getTimerCount()).toBe(0)
})

test('another age counts at once, and the same one starts nothing anew', () => {
  listsOf(0).start()
  lists.reconfigure(HOUR)
  vi.advanceTimersByTime(2000)
  expect(refreshed).toEqual(['a'])
  lists.reconfigure(HOUR)
  vi.advanceTimersByTime(120_000)
  expect(refreshed).toEqual(['a'])
  lists.reconfigure(1000)
  vi.advanceTimersByTime(1000)
  expect(refreshed).toEqual(['a', 'a'])
  lists.reconfigure(0)
  vi.advanceTimersByTime(HOUR)
  expect(refreshed).toEqual(['a', 'a'])
})
