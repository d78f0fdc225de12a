import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { SILENT } from '../../../src/core/logger.ts'
import { openLmdbStore } from '../../../src/state/lmdb.ts'
import { createMemoryStore } from '../../../src/state/memory.ts'
import { openRedisStore } from '../../../src/state/redis.ts'
import { MAX_VALUE_BYTES } from '../../../src/state/store.ts'
import { describeTier, entryOf, startProcess } from '../../contract/tier.ts'
import { hasRedis, startRedis, type RedisServer } from '../../helpers/redis-server.ts'
import { makeScratch, type Scratch } from '../../helpers/scratch.ts'

const HOUR = 3_600_000

let scratch: Scratch
beforeAll(() => {
  scratch = makeScratch()
})
afterAll(() => scratch[Symbol.asyncDispose]())

let next = 0
const folder = (): string => `${scratch.path}/state${next++}`

describeTier('memory', async () => {
  const store = createMemoryStore()
  return [store, store]
})

describeTier('lmdb', async () => {
  const path = folder()
  return [openLmdbStore(path), openLmdbStore(path)]
})

describe.runIf(hasRedis())('redis', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await startRedis()
  })
  afterAll(() => server.stop())
  const url = (): string => `${server.url}/0?prefix=${encodeURIComponent(`t${next++}:`)}`

  describeTier('redis', async () => {
    const address = url()
    return [
      await openRedisStore(address, { logger: SILENT }),
      await openRedisStore(address, { logger: SILENT }),
    ]
  })

  it('a Redis that does not answer is a miss, soon and then at once', async () => {
    const silent = await startRedis()
    onTestFinished(() => silent.stop())
    const store = await openRedisStore(silent.url, { logger: SILENT })
    onTestFinished(() => store.close())
    const { tier, epochs, heard } = await startProcess(store)
    tier.set('s', 'k', entryOf('1'), HOUR)
    await tier.idle()
    silent.freeze()
    const asked = vi.spyOn(store, 'getMany')
    const since = performance.now()
    for (let at = 0; at < 20; at++) expect(await tier.get('s', 'k')).toBeUndefined()
    // It is asked again after a second.
    expect(asked.mock.calls.length).toBeLessThanOrEqual(1 + (performance.now() - since) / 1000)
    expect(tier.counts).toMatchObject({ unanswered: 20, hits: 0 })
    await silent.stop()
    tier.set('s', 'l', entryOf('1'), HOUR)
    await tier.idle()
    epochs.changed('s')
    expect(await epochs.flush()).toBe(false)
    expect(tier.counts.refused).toBe(1)
    expect(heard).toEqual([])

    // What changed meanwhile is told as soon as there is a process to tell.
    const again = await startRedis(silent.port)
    onTestFinished(() => again.stop())
    await expect.poll(() => epochs.flush()).toBe(true)
    expect(await store.get('cache-epoch/s')).toBeDefined()
  })
})

describe('kept', () => {
  it('survives a restart', async () => {
    const path = folder()
    const first = openLmdbStore(path)
    const { tier, epochs } = await startProcess(first)
    const entry = entryOf('{"content":[]}', ['x'], 7)
    tier.set('s', 'k', entry, HOUR)
    // What waits is written before the store is closed.
    await tier.close()
    await epochs.close()
    await first.close()
    const second = openLmdbStore(path)
    onTestFinished(() => second.close())
    const after = await startProcess(second, { cached: [] })
    expect(await after.tier.get('s', 'k')).toEqual(entry)
    expect(after.heard).toEqual([])
  })

  it('not when the store has no room for it', async () => {
    const store = createMemoryStore()
    const { tier } = await startProcess(store, { maxQueuedBytes: Infinity })
    const noise = Buffer.from(Array.from({ length: 4096 }, () => Math.floor(Math.random() * 256)))
    expect(noise).toHaveLength(4096)
    store.set = () => Promise.reject(new RangeError(`more than ${MAX_VALUE_BYTES}`))
    tier.set('s', 'k', entryOf(noise.toString('base64')), HOUR)
    await tier.idle()
    expect(tier.counts).toMatchObject({ written: 0, refused: 1 })
    expect(await tier.get('s', 'k')).toBeUndefined()
  })

  it('only until the gateway closes', async () => {
    const { tier, store } = await startProcess(createMemoryStore())
    await tier.close()
    tier.set('s', 'k', entryOf('1'), HOUR)
    await tier.idle()
    expect(await store.keys('cache/')).toEqual([])
    await store.close()
    expect(await tier.get('s', 'k')).toBeUndefined()
  })
})
