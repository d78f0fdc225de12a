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

it('an empty store has nothing kept and is not written to by looking', async () => {
  const store = createMemoryStore()
  expect(await new StoredSnapshots(store).load([of()])).toEqual([undefined])
  expect(await store.keys('')).toEqual([])
  await store.close()
})
