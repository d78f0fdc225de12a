import { expect, it } from 'vitest'
import { createMemoryStore } from '../../../src/state/memory.ts'
import { describeAmounts } from '../../contract/amounts.ts'
import { describeStore } from '../../contract/store.ts'

describeStore('memory', async now => createMemoryStore({ now }))
describeAmounts('memory', async now => {
  const store = createMemoryStore({ now })
  return [store, store]
})

it('stays within its bound by forgetting what was used longest ago', async () => {
  const store = createMemoryStore({ maxBytes: 100 })
  await store.set('a', 'x'.repeat(30))
  await store.set('b', 'x'.repeat(30))
  await store.get('a')
  await store.set('c', 'x'.repeat(50))
  expect(await store.keys('')).toEqual(['a', 'c'])
  await store.set('a', 'x'.repeat(101))
  expect(await store.keys('')).toEqual(['c'])
  await store.close()
})
