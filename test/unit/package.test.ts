import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { makeScratch } from '../helpers/scratch.ts'

/** What an installation brings, besides the code. */

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const LMDB = join(ROOT, 'dist/vendor/lmdb')
const run = promisify(execFile)

interface Locked {
  readonly dev?: boolean
  readonly hasInstallScript?: boolean
  readonly resolved?: string
}

function read<T>(file: string): T {
  return JSON.parse(readFileSync(join(ROOT, file), 'utf8')) as T
}

it('brings no package with an install script, which package managers refuse or warn of', () => {
  const { packages } = read<{ packages: Record<string, Locked> }>('package-lock.json')
  const scripted = Object.entries(packages).filter(
    ([, { dev, hasInstallScript }]) => hasInstallScript && !dev,
  )
  expect(scripted).toEqual([])
})

it('has a lock file that names no registry', () => {
  const { packages } = read<{ packages: Record<string, Locked> }>('package-lock.json')
  expect(Object.values(packages).filter(({ resolved }) => resolved !== undefined)).toEqual([])
})

it('brings the binaries of the lmdb that is in the build', () => {
  const { optionalDependencies: brought } = read<{ optionalDependencies: object }>('package.json')
  const { optionalDependencies: needed } = read<{ optionalDependencies: object }>(
    'node_modules/lmdb/package.json',
  )
  expect(brought).toEqual(needed)
  const versionOf = (file: string): string => read<{ version: string }>(file).version
  expect(versionOf('dist/vendor/lmdb/package.json')).toBe(versionOf('node_modules/lmdb/package.json'))
})

it('opens a database by the lmdb of the build with nothing but the binary beside it', async () => {
  await using scratch = makeScratch()
  const folder = join(scratch.path, 'lmdb')
  cpSync(LMDB, folder, { recursive: true })
  mkdirSync(join(scratch.path, 'node_modules'))
  symlinkSync(join(ROOT, 'node_modules/@lmdb'), join(scratch.path, 'node_modules/@lmdb'), 'junction')
  const program = `
    const database = require('./lmdb').open({ path: 'data', noSubdir: false, encoding: 'binary' })
    database.put('key', Buffer.from('kept'))
      .then(() => { console.log(String(database.get('key'))); return database.close() })`
  const { stdout } = await run(process.execPath, ['-e', program], { cwd: scratch.path })
  expect(stdout).toBe('kept\n')
})

it('has the licences of what is in the build', () => {
  const licences = readFileSync(join(LMDB, 'LICENSES.txt'), 'utf8')
  for (const name of ['lmdb', 'msgpackr', 'ordered-binary', 'weak-lru-cache', 'detect-libc'])
    expect(licences).toMatch(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\((?:MIT|Apache-2\\.0)\\)$`, 'm'))
})
