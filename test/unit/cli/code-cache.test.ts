import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import module from 'node:module'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { BIN } from '../../helpers/served.ts'
import { makeScratch, type Scratch } from '../../helpers/scratch.ts'

/** The compiled code that starts leave for later ones (bin/code-cache.cjs). */

const isOld = !('enableCompileCache' in module) && process.platform !== 'win32'

function help(scratch: Scratch): string {
  const env = { ...process.env, XDG_CACHE_HOME: join(scratch.path, 'cache') }
  const { stdout, stderr, status } = spawnSync(process.execPath, [BIN, '--help'], { env, encoding: 'utf8' })
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 })
  return stdout
}

function filesOf(scratch: Scratch): string[] {
  const folder = join(scratch.path, 'cache/mcp-manifold')
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map(file => join(folder, file))
    .filter(file => file.endsWith('.bin'))
    .sort()
}

it.runIf(isOld)('is written by the first start, for this user alone, and used by the second', async () => {
  await using scratch = makeScratch()
  const first = help(scratch)
  const files = filesOf(scratch)
  expect(files.length).toBeGreaterThan(1)
  for (const file of files) expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(statSync(join(files[0] as string, '..')).mode & 0o777).toBe(0o700)
  const written = files.map(file => statSync(file).mtimeMs)
  expect(help(scratch)).toBe(first)
  expect(filesOf(scratch).map(file => statSync(file).mtimeMs)).toEqual(written)
})

it.runIf(isOld)('is not used where it is damaged, and written anew', async () => {
  await using scratch = makeScratch()
  const first = help(scratch)
  const files = filesOf(scratch)
  const sound = files.map(file => readFileSync(file))
  files.forEach((file, at) => {
    const content = Buffer.from(sound[at] as Buffer)
    // Cut, changed in the middle, or nothing at all.
    if (at % 3 === 0) writeFileSync(file, content.subarray(0, content.length >> 1))
    else if (at % 3 === 1) writeFileSync(file, content.fill(0xa5, content.length >> 1))
    else writeFileSync(file, '')
  })
  const damaged = files.map(file => readFileSync(file))
  expect(help(scratch)).toBe(first)
  filesOf(scratch).forEach((file, at) => {
    expect(readFileSync(file).equals(damaged[at] as Buffer)).toBe(false)
  })
})

it.runIf(isOld)('is done without where the folder cannot be written', async () => {
  await using scratch = makeScratch()
  const first = help(scratch)
  await using other = makeScratch()
  other.write('cache', 'a file where a folder would be')
  expect(help(other)).toBe(first)
  expect(existsSync(join(other.path, 'cache/mcp-manifold'))).toBe(false)
})
