import { expect, it, onTestFinished } from 'vitest'
import { SILENT } from '../../../src/core/logger.ts'
import { createSealingKey, KeyRing } from '../../../src/state/key-ring.ts'
import { createMemoryStore } from '../../../src/state/memory.ts'
import type { Store } from '../../../src/state/store.ts'
import { SealedVault } from '../../../src/vault/sealed-vault.ts'
import { exportRecords, importRecords } from '../../../src/vault/transfer.ts'
import type { RecordName } from '../../../src/vault/vault.ts'

function vaultOver(store: Store = createMemoryStore()): SealedVault {
  const ring = new KeyRing([createSealingKey()])
  const vault = new SealedVault({ store, logger: SILENT, keys: { ring: async () => ring } })
  onTestFinished(() => vault.close())
  return vault
}

const TOKENS: RecordName = { kind: 'tokens', server: 'a', owner: 'gateway' }
const REGISTRATION: RecordName = { kind: 'registration', server: 'é', owner: 'alice' }
const LOGIN: RecordName = { kind: 'login', server: 'a', owner: 'gateway' }

it('brings tokens and registrations to another vault, and no login that has begun', async () => {
  const [from, to] = [vaultOver(), vaultOver()]
  for (const name of [TOKENS, REGISTRATION, LOGIN])
    await from.write(name, { issuer: 'https://as.example', value: { of: name.kind } })
  const { text, exported, unopened } = await exportRecords(from)
  expect([exported, unopened]).toEqual([2, []])
  expect(await importRecords(to, text, false)).toEqual({ imported: 2, kept: 0 })
  for (const name of [TOKENS, REGISTRATION]) expect(await to.read(name)).toEqual(await from.read(name))
  expect(await to.list()).toHaveLength(2)
  const some = await exportRecords(from, ({ server }) => server === 'é')
  expect(some.exported).toBe(1)
  expect(some.text).not.toContain('tokens')
})

it('keeps what is there already, or replaces it on request', async () => {
  const [from, to] = [vaultOver(), vaultOver()]
  await from.write(TOKENS, { issuer: 'i', value: 'theirs' })
  await from.write(REGISTRATION, { issuer: 'i', value: 'theirs' })
  await to.write(TOKENS, { issuer: 'i', value: 'own' })
  const { text } = await exportRecords(from)
  expect(await importRecords(to, text, false)).toEqual({ imported: 1, kept: 1 })
  expect((await to.read(TOKENS))?.value).toBe('own')
  expect(await importRecords(to, text, true)).toEqual({ imported: 2, kept: 0 })
  expect((await to.read(TOKENS))?.value).toBe('theirs')
})

it('keeps a record that it cannot open, unless it replaces', async () => {
  const store = createMemoryStore()
  await vaultOver(store).write(TOKENS, { issuer: 'i', value: 1 })
  const [from, to] = [vaultOver(), vaultOver(store)]
  await from.write(TOKENS, { issuer: 'i', value: 'theirs' })
  const { text } = await exportRecords(from)
  expect(await importRecords(to, text, false)).toEqual({ imported: 0, kept: 1 })
  expect(await to.list()).toMatchObject([{ opens: false }])
  expect(await importRecords(to, text, true)).toEqual({ imported: 1, kept: 0 })
  expect((await to.read(TOKENS))?.value).toBe('theirs')
})

it('names records that it cannot open', async () => {
  const store = createMemoryStore()
  await vaultOver(store).write(TOKENS, { issuer: 'i', value: 1 })
  const { exported, unopened } = await exportRecords(vaultOver(store))
  expect([exported, unopened]).toEqual([0, [{ ...TOKENS, issuer: 'i', opens: false }]])
})

const head = { format: 'mcp-manifold credentials', version: 1 }
const record = { ...TOKENS, issuer: 'i', value: 'secret-of-the-test' }
it.each([
  ['secret-of-the-test', 'is not JSON'],
  ['[]', 'is no export of credentials'],
  [JSON.stringify({ ...head, format: 'secret-of-the-test' }), 'is no export of credentials'],
  [JSON.stringify({ ...head, version: 2 }), 'comes from another version'],
  [JSON.stringify({ ...head, records: {} }), 'has no list "records"'],
  [JSON.stringify({ ...head, records: [record, { ...record, kind: 'login' }] }), 'has as record 2 none with'],
  [JSON.stringify({ ...head, records: [record, { ...record, owner: 7 }] }), 'has as record 2 none with'],
  [JSON.stringify({ ...head, records: [record, null] }), 'has as record 2 none with'],
])('refuses the text %s, imports nothing of it and repeats none of it', async (text, why) => {
  const vault = vaultOver()
  const failure = await importRecords(vault, text, true).catch((error: Error) => error.message)
  expect(failure).toContain(`The text ${why}`)
  expect(failure).toContain('Nothing was imported. Fix: make it with "mcp-manifold credentials export".')
  expect(failure).not.toContain('secret-of-the-test')
  expect(await vault.list()).toEqual([])
})
