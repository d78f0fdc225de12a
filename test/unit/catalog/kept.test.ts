import { expect, it } from 'vitest'
import { keptKey, KeptSnapshots, type KeptOf } from '../../../src/catalog/kept.ts'
import { createMemoryStore } from '../../../src/state/memory.ts'
import { snapshotOf } from '../../helpers/snapshot.ts'

const of = (changes: Partial<KeptOf['server']> = {}, variant = ''): KeptOf => ({
  server: { name: 'a', fingerprint: 'f', roots: undefined, ...changes },
  variant,
})

const snapshot = snapshotOf('a')

it('a key differs by server, identity, roots, variant and secret, and is the same otherwise', () => {
  const keys = [
    keptKey('s', of()),
    keptKey('s', of({ name: 'b' })),
    keptKey('s', of({ fingerprint: 'g' })),
    keptKey('s', of({ roots: [{ uri: 'file:///x' }] })),
    keptKey('s', of({}, 'v')),
    keptKey('t', of()),
  ]
  expect(new Set(keys).size).toBe(keys.length)
  expect(keptKey('s', of())).toBe(keys[0])
})

it('what one gateway keeps is found by another over the same store, each variant by itself', async () => {
  const store = createMemoryStore()
  await new KeptSnapshots(store).save(of(), snapshot)
  await new KeptSnapshots(store).save(of({}, 'v'), { ...snapshot, fetchedAt: 2 })
  expect(await new KeptSnapshots(store).load([of({}, 'v'), of({ fingerprint: 'g' }), of()])).toEqual([
    { ...snapshot, fetchedAt: 2 },
    undefined,
    snapshot,
  ])
  await store.close()
})

it('an empty store has nothing kept and is not written to by looking', async () => {
  const store = createMemoryStore()
  expect(await new KeptSnapshots(store).load([of()])).toEqual([undefined])
  expect(await store.keys('')).toEqual([])
  await store.close()
})
