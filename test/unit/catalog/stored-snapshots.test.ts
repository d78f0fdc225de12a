import { expect, it } from 'vitest'
import { storedKey, StoredSnapshots, type KeptOf } from '../../../src/catalog/stored-snapshots.ts'
import { createMemoryStore } from '../../../src/state/memory.ts'
import { snapshotOf } from '../../helpers/snapshot.ts'

const of = (changes: Partial<KeptOf['server']> = {}, variant = ''): KeptOf => ({
  server: { name: 'a', fingerprint: 'f', roots: undefined, ...changes },
  variant,
})

const snapshot = snapshotOf('a')

it('a key differs by server, identity, roots, variant and secret, and is the same otherwise', () => {
  const keys = [
    storedKey('s', of()),
    storedKey('s', of({ name: 'b' })),
    storedKey('s', of({ fingerprint: 'g' })),
    storedKey('s', of({ roots: [{ uri: 'file:///x' }] })),
    storedKey('s', of({}, 'v')),
    storedKey('t', of()),
  ]
  expect(new Set(keys).size).toBe(keys.length)
  expect(storedKey('s', of())).toBe(keys[0])
})

it('what one gateway keeps is found by another over the same store, each variant by itself', async () => {
  const store = createMemoryStore()
  await new StoredSnapshots(store).save(of(), snapshot)
  await new StoredSnapshots(store).save(of({}, 'v'), { ...snapshot, fetchedAt: 2 })
  expect(await new StoredSnapshots(store).load([of({}, 'v'), of({ fingerprint: 'g' }), of()])).toEqual([
    { ...snapshot, fetchedAt: 2 },
    undefined,
    snapshot,
  ])
  await store.close()
})

it('the snapshots of servers that are first listed at the same moment, by two processes, are all found', async () => {
  const store = createMemoryStore()
  const [one, other] = [new StoredSnapshots(store), new StoredSnapshots(store)]
  const servers = ['a', 'b', 'c', 'd'].map(name => of({ name }))
  await Promise.all(servers.map((server, at) => (at % 2 ? one : other).save(server, snapshot)))
  expect(await new StoredSnapshots(store).load(servers)).toEqual(servers.map(() => snapshot))
  await store.close()
})

it('an empty store has nothing kept and is not written to by looking', async () => {
  const store = createMemoryStore()
  expect(await new StoredSnapshots(store).load([of()])).toEqual([undefined])
  expect(await store.keys('')).toEqual([])
  await store.close()
})

it('of a server whose configuration changes 500 times, the newest snapshots stay stored, and one that comes back is found', async () => {
  const store = createMemoryStore()
  const kept = new StoredSnapshots(store)
  const identities = Array.from({ length: 500 }, (_, at) => of({ fingerprint: `f${at}` }))
  for (const identity of identities) {
    await kept.save(identity, snapshot)
    await kept.setSilent(identity.server, true)
    kept.forget('a')
  }
  await expect.poll(() => store.keys('catalog')).toHaveLength(64 + 1)
  expect(await store.keys('catalog-secret')).toHaveLength(1)
  const [first, again, last] = [identities[0], identities[470], identities[499]] as [KeptOf, KeptOf, KeptOf]
  expect(await kept.load([first, again, last])).toEqual([undefined, snapshot, snapshot])
  // In use again, so that further changes of other servers leave it.
  for (let at = 0; at < 100; at++) {
    await kept.save(of({ name: 'b', fingerprint: `g${at}` }), snapshot)
    kept.forget('b')
  }
  expect(await new StoredSnapshots(store).load([again, of({ name: 'b', fingerprint: 'g99' })])).toEqual([
    snapshot,
    snapshot,
  ])
  await store.close()
})

it('the snapshots of 200 servers that a configuration leaves out by mistake are found when they come back', async () => {
  const store = createMemoryStore()
  const kept = new StoredSnapshots(store)
  const servers = Array.from({ length: 200 }, (_, at) => of({ name: `s${at}`, fingerprint: `f${at}` }))
  for (const server of servers) await kept.save(server, snapshot)
  for (const { server } of servers) kept.forget(server.name)
  expect(await kept.load(servers)).toEqual(servers.map(() => snapshot))
  await store.close()
})
