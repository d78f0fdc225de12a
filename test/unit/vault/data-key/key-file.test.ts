import { chmodSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { createSealingKey } from '../../../../src/state/key-ring.ts'
import { createKeyFile, readKeyFile } from '../../../../src/vault/data-key/key-file.ts'
import { makeScratch, type Scratch } from '../../../helpers/scratch.ts'

function scratch(): Scratch {
  const made = makeScratch()
  onTestFinished(() => made[Symbol.asyncDispose]())
  return made
}

it('is made once, for its owner alone, and leaves nothing beside it', async () => {
  const { path } = scratch()
  const file = join(path, 'below/vault.key')
  expect(await readKeyFile(file)).toBeUndefined()
  const made = await Promise.all(Array.from({ length: 20 }, () => createKeyFile(file, createSealingKey())))
  expect(new Set(made.map(key => key.toString('hex'))).size).toBe(1)
  expect(await readKeyFile(file)).toEqual(made[0])
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(statSync(join(path, 'below')).mode & 0o777).toBe(0o700)
  expect(readdirSync(join(path, 'below'))).toEqual(['vault.key'])
  expect(readFileSync(file, 'utf8')).toBe(`${made[0]?.toString('base64')}\n`)
})

it.each([0o640, 0o604, 0o660, 0o666])('is refused with the mode %o, with the fix', async mode => {
  const file = scratch().write('vault.key', createSealingKey().toString('base64'))
  chmodSync(file, mode)
  await expect(readKeyFile(file)).rejects.toThrow(
    `The key file "${file}" of the vault may be used by other users (mode ${mode.toString(8)}). Fix: chmod 600 "${file}"`,
  )
  chmodSync(file, 0o600)
  expect(await readKeyFile(file)).toHaveLength(32)
})

it.each([
  ['', 'empty'],
  [createSealingKey().toString('base64').slice(0, 40), 'truncated'],
  [createSealingKey().toString('hex'), 'of another encoding'],
  [`${createSealingKey().toString('base64')}\nmore`, 'with more than a key'],
  ['A'.repeat(5000), 'long'],
])('is refused with the content %j, which is %s', async content => {
  const file = scratch().write('vault.key', content)
  chmodSync(file, 0o600)
  const failure = await readKeyFile(file).catch((error: Error) => error.message)
  expect(failure).toContain(
    'does not hold a key (32 bytes in Base64). Fix: restore it from a backup; or delete it',
  )
  if (content !== '') expect(failure).not.toContain(content.slice(0, 40))
})

it('is refused as a symbolic link and as a folder', async () => {
  const made = scratch()
  const target = made.write('key', createSealingKey().toString('base64'))
  chmodSync(target, 0o600)
  const link = join(made.path, 'vault.key')
  symlinkSync(target, link)
  await expect(readKeyFile(link)).rejects.toThrow(
    'is a symbolic link. Fix: put the file itself in its place.',
  )
  await expect(createKeyFile(link, createSealingKey())).rejects.toThrow('is a symbolic link')
  expect(readFileSync(target, 'utf8')).toHaveLength(44)
  await expect(readKeyFile(made.path)).rejects.toThrow('is no regular file')
})

it('names a folder that it cannot be written to', async () => {
  const file = scratch().write('a-file', 'x')
  await expect(createKeyFile(join(file, 'vault.key'), createSealingKey())).rejects.toThrow(
    /of the vault cannot be written \(E\w+\)\. Fix: make its folder writable/,
  )
})
