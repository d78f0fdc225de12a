import { chmodSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { SILENT } from '../../../../src/core/logger.ts'
import { createSealingKey } from '../../../../src/state/key-ring.ts'
import { openLmdbStore } from '../../../../src/state/lmdb.ts'
import { createMemoryStore } from '../../../../src/state/memory.ts'
import type { Store } from '../../../../src/state/store.ts'
import { DataKeys, type DataKeysOptions, type Keyring } from '../../../../src/vault/data-key/data-keys.ts'
import { makeScratch } from '../../../helpers/scratch.ts'

const DENIED: Keyring = {
  read: () => Promise.reject(new Error('AccessDenied')),
  write: () => Promise.reject(new Error('AccessDenied')),
}

/** A keyring that keeps its entry. */
function keeping(): Keyring & { entry: string | undefined } {
  return {
    entry: undefined,
    async read() {
      return this.entry
    },
    async write(key) {
      this.entry = key
    },
  }
}

interface Rig {
  readonly store: Store
  readonly folder: string
  readonly said: string[]
  /** Keys as another process gets them. */
  readonly keys: (options?: Partial<DataKeysOptions>) => DataKeys
}

function rig(of: (folder: string) => Store = folder => openLmdbStore(folder)): Rig {
  const scratch = makeScratch()
  onTestFinished(() => scratch[Symbol.asyncDispose]())
  const store = of(scratch.path)
  onTestFinished(() => store.close())
  const said: string[] = []
  const say = (message: string): void => void said.push(message)
  const logger = { ...SILENT, warn: say, error: say, info: say }
  const settings = {
    keys: [],
    keySource: 'auto',
    folder: scratch.path,
    store,
    logger,
    keyring: DENIED,
  } as const
  return {
    store,
    folder: scratch.path,
    said,
    keys: options => new DataKeys({ ...settings, ...options }),
  }
}

async function idOf(keys: DataKeys): Promise<string> {
  return (await keys.ring()).sealingId
}

it('uses configured keys, of which the first seals, and neither keyring nor file', async () => {
  const { keys, said, folder } = rig()
  const [fresh, old] = [createSealingKey(), createSealingKey()]
  const texts = [fresh, old].map(key => key.toString('base64'))
  const ring = await keys({ keys: texts }).ring()
  const before = await keys({ keys: texts.slice(1) }).ring()
  expect(ring.open('c', before.seal('c', 'x'))).toBe('x')
  expect(before.open('c', ring.seal('c', 'x'))).toBeUndefined()
  expect(said).toEqual([])
  expect(() => readFileSync(join(folder, 'vault.key'))).toThrow('ENOENT')
  await expect(keys({ keys: [texts[0] ?? '', 'c2hvcnQ='] }).ring()).rejects.toThrow(
    '"gateway.vault.keys[1]" is no key. Fix: set it to 32 random bytes in Base64.',
  )
})

it('keeps the key in the keyring where there is one, and says nothing', async () => {
  const { keys, said, folder } = rig()
  const keyring = keeping()
  const id = await idOf(keys({ keyring }))
  expect(Buffer.from(keyring.entry ?? '', 'base64')).toHaveLength(32)
  expect(await idOf(keys({ keyring }))).toBe(id)
  expect(said).toEqual([])
  expect(() => readFileSync(join(folder, 'vault.key'))).toThrow('ENOENT')
})

it('keeps the key in a file where the keyring cannot be used, and says so once', async () => {
  const { keys, said, folder } = rig()
  const ids = await Promise.all(Array.from({ length: 10 }, () => idOf(keys())))
  expect(new Set(ids).size).toBe(1)
  expect(said).toEqual([
    `The key of the vault is in the file "${join(folder, 'vault.key')}", which only this user can read. The keyring of the system is not used: AccessDenied. A backup of the logins needs it too.`,
  ])
  // Also once the keyring can be used.
  const keyring = keeping()
  expect(await idOf(keys({ keyring }))).toBe(ids[0])
  expect(keyring.entry).toBeUndefined()
  expect(said).toHaveLength(1)
})

it('makes no second key while the keyring that has the first cannot be used', async () => {
  const { keys, folder } = rig()
  const keyring = keeping()
  const id = await idOf(keys({ keyring }))
  const locked = keys()
  await expect(locked.ring()).rejects.toThrow(
    'The key of the vault is to be in the keyring of the system, which cannot be used: AccessDenied. Fix: unlock the keyring; or set "gateway.vault.keySource" to "file" and log in to the servers anew.',
  )
  expect(() => readFileSync(join(folder, 'vault.key'))).toThrow('ENOENT')
  expect(await idOf(keys({ keyring }))).toBe(id)
  // The fix.
  const ofFile = await idOf(keys({ keySource: 'file' }))
  expect(ofFile).not.toBe(id)
  expect(await idOf(keys())).toBe(ofFile)
})

it('tries again after a failure', async () => {
  const { keys } = rig()
  const keyring = keeping()
  const { read } = keyring
  keyring.read = DENIED.read
  const waiting = keys({ keyring, keySource: 'keyring' })
  await expect(waiting.ring()).rejects.toThrow('AccessDenied')
  keyring.read = read
  expect(await idOf(waiting)).toMatch(/^[\da-f]{8}$/)
})

it('refuses an entry of the keyring that is no key, and a file that others may read', async () => {
  const { keys, folder } = rig()
  const keyring = { ...keeping(), entry: 'not a key' }
  await expect(keys({ keyring, keySource: 'keyring' }).ring()).rejects.toThrow(
    'its entry "vault" of "mcp-manifold" is no key; delete the entry. Fix:',
  )
  await keys().ring()
  chmodSync(join(folder, 'vault.key'), 0o644)
  await expect(keys().ring()).rejects.toThrow('chmod 600')
  await expect(keys({ keyring: keeping() }).ring()).rejects.toThrow('chmod 600')
})

describe('a store', () => {
  it('of this process alone gets a key that ends with it', async () => {
    const { keys, folder, said } = rig(() => createMemoryStore())
    expect(await idOf(keys({ keyring: keeping() }))).not.toBe(await idOf(keys({ keyring: keeping() })))
    expect(said).toEqual([])
    expect(() => readFileSync(join(folder, 'vault.key'))).toThrow('ENOENT')
  })

  it('of many machines is said to need configured keys', async () => {
    const { keys, said } = rig(folder => Object.assign(openLmdbStore(folder), { name: 'redis:example:6379' }))
    await keys({ keyring: keeping() }).ring()
    expect(said).toEqual([
      'The logins in redis:example:6379 are sealed with a key of this machine, so other machines cannot use them. Fix: set "gateway.vault.keys" to the same key on all of them, such as "${VAULT_KEY}" with 32 random bytes in Base64.',
    ])
    await keys({ keys: [createSealingKey().toString('base64')] }).ring()
    expect(said).toHaveLength(1)
  })
})
