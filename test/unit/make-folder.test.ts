import { statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { spawnSync } from 'node:child_process'
import { makeFolder } from '../../src/make-folder.ts'
import { makeScratch } from '../helpers/scratch.ts'

const DIST = new URL('../../dist/make-folder.js', import.meta.url).href

test('makes what is missing above it, for its owner alone, and leaves what is there', async () => {
  await using scratch = makeScratch()
  const path = join(scratch.path, 'a/b/c')
  makeFolder(path)
  makeFolder(path)
  expect(statSync(path).mode & 0o777).toBe(0o700)
  expect(statSync(join(scratch.path, 'a')).mode & 0o777).toBe(0o700)
})

test('a file in the way is an error', async () => {
  await using scratch = makeScratch()
  scratch.write('file', '')
  expect(() => makeFolder(join(scratch.path, 'file'))).toThrow('EEXIST')
  expect(() => makeFolder(join(scratch.path, 'file/below'))).toThrow('ENOTDIR')
})

test.runIf(process.platform === 'linux')('a file system that has no place for it ends the attempt', () => {
  const script = `import { makeFolder } from ${JSON.stringify(DIST)}; makeFolder('/proc/x/y')`
  const { status, stderr, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    timeout: 20_000,
    killSignal: 'SIGKILL',
    encoding: 'utf8',
  })
  expect({ status, signal }).toEqual({ status: 1, signal: null })
  expect(stderr).toContain('ENOENT')
})
