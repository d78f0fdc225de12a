import { expect, it } from 'vitest'
import { createMemoryStore } from '../../../src/state/memory.ts'
import { Seal } from '../../../src/state/seal.ts'

it('what one of two processes seals at their first start is opened by the other', async () => {
  const store = createMemoryStore()
  const seals = [new Seal(store), new Seal(store)] as const
  const sealed = await Promise.all(seals.map((seal, at) => seal.seal('test', at)))
  for (const [at, text] of sealed.entries()) {
    expect(await Promise.all(seals.map(seal => seal.open('test', text)))).toEqual([at, at])
    expect(await seals[0].open('other', text)).toBeUndefined()
  }
  await store.close()
})
