import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { SILENT } from '../../../src/core/logger.ts'
import { createSealingKey } from '../../../src/state/key-ring.ts'
import { openStore } from '../../../src/state/open.ts'
import { openVault } from '../../../src/vault/open.ts'
import type { SealedVault } from '../../../src/vault/sealed-vault.ts'
import type { RecordName } from '../../../src/vault/vault.ts'
import { makeScratch, type Scratch } from '../../helpers/scratch.ts'
import { runProgram } from './program.ts'

const SECRET = 'the-refresh-token-of-this-test'
const NAME: RecordName = { kind: 'tokens', server: 'linear', owner: 'gateway' }

interface Place {
  readonly path: string
  use<T>(work: (vault: SealedVault) => Promise<T>, keys?: readonly string[]): Promise<T>
}

/** A folder with a configuration and a state of its own, sealed with the first of the keys. */
function place(...keys: string[]): Place {
  const scratch: Scratch = makeScratch()
  onTestFinished(() => scratch[Symbol.asyncDispose]())
  const state = `lmdb:${scratch.path}/state`
  scratch.write('servers.json', {
    mcpServers: { linear: { url: 'https://linear.example/mcp' } },
    gateway: { state, vault: { keys } },
  })
  return {
    path: scratch.path,
    async use(work, own = keys) {
      const store = await openStore(state, SILENT)
      const vault = openVault({ store, logger: SILENT, keys: own, keySource: 'file', folder: scratch.path })
      try {
        return await work(vault)
      } finally {
        await vault.close()
        await store.close()
      }
    },
  }
}

const key = (): string => createSealingKey().toString('base64')
const save = (vault: SealedVault): Promise<void> =>
  vault.write(NAME, { issuer: 'https://as.example', value: { refreshToken: SECRET } })

it('brings logins to another place by a file that only its owner can read', async () => {
  const [from, to] = [place(key()), place(key())]
  await from.use(save)
  const file = join(to.path, 'logins.json')
  const exported = await runProgram(['credentials', 'export', '--file', file], { cwd: from.path })
  expect(exported).toMatchObject({ code: 0, stdout: '' })
  expect(exported.stderr).toContain(`1 record is exported to ${file}, in clear.`)
  expect(exported.stderr).not.toContain(SECRET)
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(readFileSync(file, 'utf8')).toContain(SECRET)
  const again = await runProgram(['credentials', 'export', '--file', file], { cwd: from.path })
  expect(again).toMatchObject({ code: 1, stdout: '' })
  expect(again.stderr).toContain('is there already, and is not overwritten')
  const imported = await runProgram(['credentials', 'import', file], { cwd: to.path })
  expect(imported.stderr).toBe(`1 record is imported. Delete ${file} now.\n`)
  expect(await to.use(vault => vault.read(NAME))).toEqual(await from.use(vault => vault.read(NAME)))
  const kept = await runProgram(['credentials', 'import', file], { cwd: to.path })
  expect(kept.stderr).toContain('1 record is kept, because there are such logins already. Fix: --replace')
})

it('brings logins to another place by a pipe, those of one server alone on request', async () => {
  const [from, to] = [place(key()), place(key())]
  await from.use(save)
  const { stdout } = await runProgram(['credentials', 'export', '--stdout'], { cwd: from.path })
  expect(stdout).toContain(SECRET)
  const imported = await runProgram(['credentials', 'import', '-'], { cwd: to.path, input: stdout })
  expect(imported).toMatchObject({ code: 0, stdout: '', stderr: '1 record is imported.\n' })
  const none = await runProgram(['credentials', 'export', '--stdout', '--server', 'x'], { cwd: from.path })
  expect(none.stdout).not.toContain(SECRET)
  const wrong = await runProgram(['credentials', 'import', '-'], { cwd: to.path, input: SECRET })
  expect(wrong).toMatchObject({ code: 1, stdout: '' })
  expect(wrong.stderr).toContain('The text is not JSON. Nothing was imported.')
  expect(wrong.stderr).not.toContain(SECRET)
})

it('writes no tokens where it was not told to', async () => {
  const { path, use } = place(key())
  await use(save)
  for (const args of [[], ['--stdout', '--file', 'x']]) {
    const ended = await runProgram(['credentials', 'export', ...args], { cwd: path })
    expect(ended).toMatchObject({ code: 1, stdout: '' })
    expect(ended.stderr).toContain('Say where to: --file <new file>, or --stdout for a pipe.')
  }
})

it('seals with the first key what an older one has sealed', async () => {
  const [fresh, old] = [key(), key()]
  const { path, use } = place(fresh, old)
  await use(save, [old])
  expect(await use(vault => vault.read(NAME), [fresh])).toBeUndefined()
  const rotated = await runProgram(['credentials', 'rotate'], { cwd: path })
  expect(rotated).toMatchObject({ code: 0, stderr: '1 record is sealed anew with the first key.\n' })
  expect(await use(vault => vault.read(NAME), [fresh])).toMatchObject({ issuer: 'https://as.example' })
  await use(save, [key()])
  const missing = await runProgram(['credentials', 'rotate'], { cwd: path })
  expect(missing.code).toBe(1)
  expect(missing.stderr).toContain('Records that no key here opens: 1. Fix: add the key')
})
