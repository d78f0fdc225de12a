import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { ApiKeys } from '../../../src/auth/api-keys.ts'
import { createKey, keyDigestOf, idOf, readAllKeys, storeKey } from '../../../src/auth/key-records.ts'
import { Principals } from '../../../src/auth/principals.ts'
import { configFrom } from '../../../src/config/load/load.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { createMemoryStore } from '../../../src/state/memory.ts'
import type { Store } from '../../../src/state/store.ts'

/** Which keys count, and what looking for them costs the store. */

let keys: ApiKeys
let store: Store
let lookUps: string[]
let away: boolean

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date', 'performance', 'setInterval', 'clearInterval'] })
  const { clients } = await configFrom({ mcpServers: {}, clients: { ci: {} } }, { env: {} })
  store = createMemoryStore()
  lookUps = []
  away = false
  const getMany = store.getMany.bind(store)
  store.getMany = async places => {
    if (away) throw new Error('the store is away')
    lookUps.push(...places)
    return await getMany(places)
  }
  keys = new ApiKeys({ clients, principals: new Principals(clients), store, logger: SILENT })
})
afterEach(() => {
  keys.close()
  vi.useRealTimers()
})

async function make(client = 'ci', expires?: number): Promise<string> {
  const digest = keyDigestOf(createKey())
  await storeKey(store, { digest, client, created: Date.now(), expires, note: undefined })
  return digest
}

test('a key is 32 random bytes, of which the store has only the digest', async () => {
  const key = createKey()
  expect(key).toMatch(/^mfd_[\w-]{43}$/)
  expect(createKey()).not.toBe(key)
  const digest = keyDigestOf(key)
  await storeKey(store, { digest, client: 'ci', created: 1, expires: undefined, note: 'n' })
  expect(await readAllKeys(store)).toEqual([
    { digest, client: 'ci', created: 1, expires: undefined, note: 'n' },
  ])
  expect(idOf(digest)).toBe(digest.slice(0, 12))
  for (const place of await store.keys(''))
    expect(`${place} ${await store.get(place)}`).not.toContain(key.slice(4))
})

test('a record of the store that is no key identifies no client', async () => {
  for (const text of [
    '',
    'null',
    '[]',
    '{}',
    '{"client":1,"created":1}',
    '{"client":"ci","created":1,"expires":"x"}',
  ]) {
    const digest = keyDigestOf(createKey())
    await store.set(`keys/${digest}`, text)
    expect(await keys.lookUp(digest)).toBeUndefined()
  }
})

describe('looking for a key that was never used here', () => {
  test('happens once for all simultaneous requests, and then the key is known', async () => {
    const digest = await make()
    expect(keys.known(digest)).toBeUndefined()
    const [first, second] = await Promise.all([keys.lookUp(digest), keys.lookUp(digest)])
    expect(first?.principal.id).toBe('client:ci')
    expect(second).toBe(first)
    expect(keys.known(digest)).toBe(first)
    expect(lookUps).toHaveLength(1)
  })

  test('in vain is not repeated at once, but soon', async () => {
    const digest = keyDigestOf(createKey())
    for (let at = 0; at < 5; at++) expect(await keys.lookUp(digest)).toBeUndefined()
    expect(lookUps).toHaveLength(1)
    await storeKey(store, { digest, client: 'ci', created: 1, expires: undefined, note: undefined })
    vi.advanceTimersByTime(2500)
    expect((await keys.lookUp(digest))?.principal.name).toBe('ci')
  })

  test('is bounded: unknown keys are put off, and known keys go on', async () => {
    const digest = await make()
    const credential = await keys.lookUp(digest)
    const outcomes = await Promise.allSettled(
      Array.from({ length: 1000 }, () => keys.lookUp(keyDigestOf(createKey()))),
    )
    expect(outcomes.filter(({ status }) => status === 'rejected').length).toBe(1000 - 49)
    expect(lookUps).toHaveLength(50)
    expect(keys.known(digest)).toBe(credential)
    vi.advanceTimersByTime(1000)
    expect(await keys.lookUp(keyDigestOf(createKey()))).toBeUndefined()
  })

  test('says so when the store is away', async () => {
    away = true
    await expect(keys.lookUp(keyDigestOf(createKey()))).rejects.toMatchObject({ status: 503 })
  })
})

describe('reading again', () => {
  test('finds keys that were never used, and ends those that are gone', async () => {
    const [stays, goes] = [await make(), await make()]
    await keys.reread()
    const [kept, ended] = [keys.known(stays), keys.known(goes)]
    expect([kept?.expiresAt, ended?.expiresAt]).toEqual([Infinity, Infinity])
    await store.delete(`keys/${goes}`)
    await keys.reread()
    expect(keys.known(goes)).toBeUndefined()
    expect(ended?.expiresAt).toBe(0)
    expect(keys.known(stays)).toBe(kept)
  })

  test('leaves everything as it is while the store is away', async () => {
    const digest = await make()
    await keys.reread()
    away = true
    await keys.reread()
    expect(keys.known(digest)?.expiresAt).toBe(Infinity)
  })

  test('is not needed for a key to expire', async () => {
    const digest = await make('ci', Date.now() + 3000)
    const credential = await keys.lookUp(digest)
    expect(credential?.expiresAt).toBe(Date.now() + 3000)
    vi.advanceTimersByTime(3000)
    expect(keys.known(digest)).toBeUndefined()
  })

  test('takes no key of a client that is not configured', async () => {
    const digest = await make('gone')
    await keys.reread()
    expect(keys.known(digest)).toBeUndefined()
    expect(await keys.lookUp(digest)).toBeUndefined()
  })
})
