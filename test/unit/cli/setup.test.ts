import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { makeScratch } from '../../helpers/scratch.ts'
import type { Scratch } from '../../helpers/scratch.ts'

const SETUP = fileURLToPath(new URL('../../../bin/setup.js', import.meta.url))

/** A checkout in which everything is up to date, with an `npm` that only says how it was called. */
function makeCheckout(npmExitCode = 0): Scratch {
  const scratch = makeScratch()
  for (const folder of [
    'bin',
    'src/deep',
    'dist/bundle',
    'dist/types',
    'dist/vendor/lmdb',
    'node_modules',
    'tools',
  ]) {
    mkdirSync(join(scratch.path, folder), { recursive: true })
  }
  copyFileSync(SETUP, join(scratch.path, 'bin', 'setup.js'))
  const npm = join(scratch.path, 'tools', 'npm')
  writeFileSync(npm, `#!/bin/sh\necho "npm was called: $*"\nexit ${npmExitCode}\n`)
  chmodSync(npm, 0o755)
  const files = [
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'bin/bundle-lmdb.js',
    'bin/bundle-program.js',
    'bin/licences.js',
    'bin/select-types.js',
    'src/deep/a.ts',
  ]
  const results = [
    'node_modules/.package-lock.json',
    'dist/bundle/main.cjs',
    'dist/vendor/lmdb/index.cjs',
    'dist/types/index.d.ts',
  ]
  for (const file of [...files, ...results])
    scratch.write(file, file === 'package.json' ? '{"type":"module"}' : '')
  for (const old of [...files, 'src/deep', 'src']) touch(scratch, old, 1000)
  for (const fresh of results) touch(scratch, fresh, 2000)
  return scratch
}

function touch(scratch: Scratch, file: string, seconds: number): void {
  utimesSync(join(scratch.path, file), seconds, seconds)
}

function setUp(scratch: Scratch): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['bin/setup.js'], {
    cwd: scratch.path,
    encoding: 'utf8',
    env: { ...process.env, PATH: `${join(scratch.path, 'tools')}${delimiter}${process.env['PATH']}` },
  })
  return { status, stdout, stderr }
}

describe.skipIf(process.platform === 'win32')('bin/setup.js', () => {
  test('is quiet when there is nothing to do', async () => {
    await using scratch = makeCheckout()
    expect(setUp(scratch)).toEqual({ status: 0, stdout: '', stderr: '' })
  })

  test('installs what is missing', async () => {
    await using scratch = makeCheckout()
    rmSync(join(scratch.path, 'node_modules'), { recursive: true })
    const { status, stdout, stderr } = setUp(scratch)
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
    expect(stderr).toBe('Installing what the project needs: npm ci\nnpm was called: ci\n')
  })

  test('installs and builds again when the lock file is newer', async () => {
    await using scratch = makeCheckout()
    touch(scratch, 'package-lock.json', 3000)
    const { stderr } = setUp(scratch)
    expect(stderr).toContain('npm was called: ci\n')
    expect(stderr).toContain('npm was called: run build\n')
  })

  test.each([
    'src/deep/a.ts',
    'src/deep',
    'tsconfig.json',
    'bin/bundle-lmdb.js',
    'bin/bundle-program.js',
    'bin/select-types.js',
  ])('builds when %s is newer than what was built', async file => {
    await using scratch = makeCheckout()
    touch(scratch, file, 3000)
    expect(setUp(scratch).stderr).toBe('Building: npm run build\nnpm was called: run build\n')
  })

  test('builds when the lmdb of the build is missing', async () => {
    await using scratch = makeCheckout()
    rmSync(join(scratch.path, 'dist/vendor'), { recursive: true })
    expect(setUp(scratch).stderr).toBe('Building: npm run build\nnpm was called: run build\n')
  })

  test('builds when nothing was', async () => {
    await using scratch = makeCheckout()
    rmSync(join(scratch.path, 'dist'), { recursive: true })
    expect(setUp(scratch).stderr).toContain('npm was called: run build\n')
  })

  test('fails as npm does, and tries again the next time', async () => {
    await using scratch = makeCheckout(7)
    touch(scratch, 'src/deep/a.ts', 3000)
    expect(setUp(scratch).status).toBe(7)
    touch(scratch, 'src/deep/a.ts', 1000)
    expect(setUp(scratch).status).toBe(7)
  })
})
