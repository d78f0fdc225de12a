import { expect, onTestFinished, test } from 'vitest'
import { SILENT } from '../../../../src/core/logger.ts'
import { keptLogins } from '../../../../src/credentials/login/kept-logins.ts'
import { createSealingKey, KeyRing } from '../../../../src/state/key-ring.ts'
import { createMemoryStore } from '../../../../src/state/memory.ts'
import { SealedVault } from '../../../../src/vault/sealed-vault.ts'

/** The list of logins, as people see it. */

function setUp() {
  const store = createMemoryStore()
  const ring = new KeyRing([createSealingKey()])
  const vault = new SealedVault({ store, logger: SILENT, keys: { ring: () => Promise.resolve(ring) } })
  onTestFinished(async () => {
    await vault.close()
    await store.close()
  })
  return { store, vault }
}

test('more logins than are listed are counted, and the first in their order are listed', async () => {
  const { vault } = setUp()
  for (const owner of ['e', 'b', 'd', 'a', 'c'])
    for (const server of ['two', 'one'])
      await vault.write({ kind: 'tokens', server, owner }, { issuer: '', value: { obtainedAt: 1 } })
  const { logins, left } = await keptLogins(vault, { most: 3 })
  expect(logins.map(({ server, owner }) => `${server} ${owner}`)).toEqual(['one a', 'one b', 'one c'])
  expect(left).toBe(7)
  const ofTwo = await keptLogins(vault, { server: 'two', most: 4 })
  expect(ofTwo.logins.map(({ owner }) => owner)).toEqual(['a', 'b', 'c', 'd'])
  expect(ofTwo.left).toBe(1)
  expect(await keptLogins(vault, { server: 'two' })).toMatchObject({ left: 0 })
})

test.each(['keys', 'getMany'] as const)('a state that fails (%s) is named, with its cause', async method => {
  const { store, vault } = setUp()
  await vault.write({ kind: 'tokens', server: 's', owner: 'gateway' }, { issuer: '', value: {} })
  const fail = (): Promise<never> => Promise.reject(new Error('MDB_CORRUPTED: Located page was wrong type'))
  Object.assign(store, { [method]: fail })
  await expect(keptLogins(vault)).rejects.toMatchObject({
    name: 'GatewayError',
    message: expect.stringMatching(/state store "memory".*MDB_CORRUPTED.*Fix: /) as string,
  })
})
