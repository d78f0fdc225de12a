import { expect, it } from 'vitest'
import { CacheEntry } from '../../../src/cache/entry.ts'
import { MemoryCache } from '../../../src/cache/memory.ts'
import { rng } from '../../helpers/rng.ts'

function kept(key: string, owner: string, chars = 100): CacheEntry {
  const value = { content: [], pad: 'x'.repeat(chars) }
  const entry = { text: JSON.stringify(value), modern: false, storedAt: 0, upstreamMs: 1, tags: [] }
  return new CacheEntry({ key, server: 's', owner, entry, value, epoch: 0 })
}

const ONE = kept('k', 'a').bytes

it('drops the least recently used entries of the client that fills its share, and none of others', () => {
  const memory = new MemoryCache({ maxBytes: ONE * 100, maxBytesPerClient: ONE * 3 })
  memory.set(kept('q', 'quiet'))
  for (const key of ['1', '2', '3']) memory.set(kept(key, 'loud'))
  expect(memory.get('1')).toBeDefined()
  for (const key of ['4', '5']) memory.set(kept(key, 'loud'))
  expect(['1', '2', '3', '4', '5', 'q'].filter(key => memory.get(key))).toEqual(['1', '4', '5', 'q'])
  expect([memory.bytesOf('loud'), memory.bytesOf('quiet'), memory.bytes]).toEqual([ONE * 3, ONE, ONE * 4])
})

it('drops entries of the client with the most when all of it is full', () => {
  const memory = new MemoryCache({ maxBytes: ONE * 6, maxBytesPerClient: ONE * 5 })
  memory.set(kept('q', 'quiet'))
  for (const key of 'abcdefghijklmnop') memory.set(kept(key, 'loud'))
  for (const key of ['1', '2']) memory.set(kept(key, 'new'))
  expect(memory.get('q')).toBeDefined()
  expect(memory.get('1')).toBeDefined()
  expect(memory.bytesOf('loud')).toBe(ONE * 3)
})

it('does not keep what is larger than one client may have, nor what it was to replace', () => {
  const memory = new MemoryCache({ maxBytes: ONE * 100, maxBytesPerClient: ONE * 2 })
  memory.set(kept('k', 'a'))
  memory.set(kept('k', 'a', 5000))
  expect(memory.get('k')).toBeUndefined()
  expect([memory.bytes, memory.size]).toEqual([0, 0])
})

it('counts a result for the client that last had it fetched, at its later size', () => {
  const memory = new MemoryCache({ maxBytes: ONE * 1000, maxBytesPerClient: ONE * 500 })
  memory.set(kept('k', 'a'))
  memory.set(kept('k', 'b'))
  expect([memory.bytesOf('a'), memory.bytesOf('b'), memory.size]).toEqual([0, ONE, 1])
  const value = { resultType: 'complete', content: [], pad: 'x'.repeat(20_000), cacheScope: 'public' }
  const entry = { text: JSON.stringify(value), modern: true, storedAt: 0, upstreamMs: 1, tags: [] }
  const modern = new CacheEntry({ key: 'm', server: 's', owner: 'b', entry, value, epoch: 0 })
  memory.set(modern)
  const before = memory.bytes
  const request = { method: 'tools/call', params: undefined, progressToken: undefined }
  modern.outcome({ modern: false, protocolVersion: '2025-11-25', request }, '{}', 0, 'memory', false)
  memory.grown(modern)
  expect(memory.bytes - before).toBeGreaterThan(20_000)
  memory.delete('m')
  expect(memory.bytes).toBe(ONE)
})

it('keeps its bounds and its count whatever happens', () => {
  const random = rng(7)
  const below = (count: number): number => Math.floor(random() * count)
  const memory = new MemoryCache({ maxBytes: 30_000, maxBytesPerClient: 9000 })
  for (let round = 0; round < 20_000; round++) {
    const key = `k${below(60)}`
    if (below(5) === 0) memory.delete(key)
    else if (below(3) === 0) memory.get(key)
    else memory.set(kept(key, `o${below(6)}`, below(4000)))
    const all = [...memory.values()]
    expect(memory.bytes).toBe(all.reduce((sum, { bytes }) => sum + bytes, 0))
    expect(memory.bytes).toBeLessThanOrEqual(30_000)
    const own = all.filter(({ owner }) => owner === 'o1').reduce((sum, { bytes }) => sum + bytes, 0)
    expect(memory.bytesOf('o1')).toBe(own)
    expect(own).toBeLessThanOrEqual(9000)
  }
})
