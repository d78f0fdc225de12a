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

it.each([
  ['not JSON', 'is not JSON'],
  ['{}', 'is no list with a key'],
  ['[]', 'is no list with a key'],
  [JSON.stringify([Buffer.alloc(32).toString('base64'), 'c2hvcnQ=']), 'has as key 2 no 32 bytes'],
  ['[7]', 'has as key 1 no 32 bytes'],
])('a ring of keys that cannot be used, %s, is named, and used once it is mended', async (text, why) => {
  const store = createMemoryStore()
  const seal = new Seal(store)
  await store.set('seal/keys', text)
  const failure = await seal.seal('test', 1).catch((error: Error) => error.message)
  expect(failure).toContain(`The key "seal/keys" in the state store ${why}`)
  await expect(seal.open('test', 'A'.repeat(80))).rejects.toThrow(why)
  await store.delete('seal/keys')
  expect(await seal.open('test', await seal.seal('test', 1))).toBe(1)
  await store.close()
})
