import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { BIN } from '../../helpers/served.ts'
import { makeScratch, type Scratch } from '../../helpers/scratch.ts'

/** The compiled code that starts leave for later ones (bin/code-cache.cjs, bin/cache-folder.cjs). */

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

/** A start as one of a Node.js without a cache of its own, whichever this is. */
const WITHOUT_OWN = 'delete require("node:module").enableCompileCache'
/** A start as one of a Node.js with a cache of its own, which tells its folder. */
const WITH_OWN = 'require("node:module").enableCompileCache = folder => process._rawDebug(`cache: ${folder}`)'

interface Start {
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly before?: string
  readonly bin?: string
}

function help(scratch: Scratch, { env = {}, before = WITHOUT_OWN, bin = BIN }: Start = {}): Start & Said {
  const hook = scratch.write('before.cjs', before)
  const { stdout, stderr, status } = spawnSync(process.execPath, ['-r', hook, bin, '--help'], {
    env: { ...process.env, XDG_CACHE_HOME: join(scratch.path, 'cache'), ...env },
    encoding: 'utf8',
    cwd: scratch.path,
  })
  expect(status, stderr).toBe(0)
  return { stdout, stderr }
}

interface Said {
  readonly stdout: string
  readonly stderr: string
}

const folderOf = (scratch: Scratch): string => join(scratch.path, 'cache/mcp-manifold/code')

function filesOf(scratch: Scratch): string[] {
  return readdirSync(folderOf(scratch), { recursive: true, encoding: 'utf8' })
    .map(file => join(folderOf(scratch), file))
    .filter(file => file.endsWith('.bin'))
    .sort()
}

const timesOf = (files: readonly string[]): number[] => files.map(file => statSync(file).mtimeMs)

describe.runIf(process.platform !== 'win32')('the code of a start', () => {
  test('is written by the first, for this user alone, and used by the second', async () => {
    await using scratch = makeScratch()
    const first = help(scratch)
    const files = filesOf(scratch)
    expect(files.length).toBeGreaterThan(1)
    for (const file of files) expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(statSync(join(files[0] as string, '..')).mode & 0o777).toBe(0o700)
    const written = timesOf(files)
    expect(help(scratch)).toEqual(first)
    expect(timesOf(filesOf(scratch))).toEqual(written)
  })

  test('is not used where it is damaged, and written anew', async () => {
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
    expect(help(scratch)).toEqual(first)
    filesOf(scratch).forEach((file, at) => {
      expect(readFileSync(file).equals(damaged[at] as Buffer)).toBe(false)
    })
  })

  test('is not used for another text, also of the same length in a file of the same name', async () => {
    await using scratch = makeScratch()
    for (const part of ['bin', 'dist/bundle', 'package.json'])
      cpSync(join(ROOT, part), join(scratch.path, part), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules'), join(scratch.path, 'node_modules'))
    const bin = join(scratch.path, 'bin/mcp-manifold.cjs')
    expect(help(scratch, { bin }).stdout).toContain('One MCP server in front of many.')
    const bundle = join(scratch.path, 'dist/bundle')
    const chunk = readdirSync(bundle)
      .map(name => join(bundle, name))
      .find(file => readFileSync(file, 'utf8').includes('One MCP server in front of many.\\n'))
    writeFileSync(chunk as string, readFileSync(chunk as string, 'utf8').replaceAll('One MCP', 'Two MCP'))
    expect(help(scratch, { bin }).stdout).toContain('Two MCP server in front of many.')
  })

  test('is not used where others may write to it, or where it is behind a link', async () => {
    await using scratch = makeScratch()
    const first = help(scratch)
    const [file = ''] = filesOf(scratch)
    const folder = join(file, '..')
    // Code that would be taken: that of this start, for another text.
    const [planted = '', other = ''] = filesOf(scratch)
    const before = readFileSync(planted)
    chmodSync(planted, 0o666)
    help(scratch)
    expect(statSync(planted).mode & 0o777, 'written anew').toBe(0o600)
    expect(readFileSync(planted).length).toBeGreaterThan(before.length / 2)
    const times = timesOf(filesOf(scratch))
    chmodSync(folder, 0o777)
    expect(help(scratch)).toEqual(first)
    expect(timesOf(filesOf(scratch)), 'neither read nor written').toEqual(times)
    chmodSync(folder, 0o700)
    await using elsewhere = makeScratch()
    const copy = elsewhere.write('copy.bin', readFileSync(other, 'latin1'))
    writeFileSync(copy, readFileSync(other))
    spawnSync('ln', ['-sf', copy, other])
    help(scratch)
    expect(readFileSync(copy).equals(readFileSync(other))).toBe(false)
  })

  test.runIf(process.getuid?.() === 0)('is not in a folder of another user', async () => {
    await using scratch = makeScratch()
    mkdirSync(folderOf(scratch), { recursive: true, mode: 0o700 })
    chownSync(folderOf(scratch), 12345, 12345)
    const first = help(scratch)
    expect(first.stdout).toContain('Usage:')
    expect(readdirSync(folderOf(scratch))).toEqual([])
    expect(help(scratch, { before: WITH_OWN }).stderr).toBe('')
  })

  test('is removed when it is old, with what killed processes have left', async () => {
    await using scratch = makeScratch()
    const old = join(folderOf(scratch), 'v18.0.0-x64')
    mkdirSync(old, { recursive: true, mode: 0o700 })
    chmodSync(folderOf(scratch), 0o700)
    const left = join(old, 'main.cjs-0123.bin.4242')
    writeFileSync(left, '')
    utimesSync(left, 0, 0)
    help(scratch)
    expect(existsSync(old)).toBe(false)
    expect(filesOf(scratch).length).toBeGreaterThan(1)
  })

  test('is done without where there is no folder for it', async () => {
    await using scratch = makeScratch()
    const first = help(scratch)
    await using other = makeScratch()
    other.write('cache', 'a file where a folder would be')
    expect(help(other)).toEqual(first)
    // Without a variable and without an entry of this user, there is no home.
    const homeless = `require('node:os').homedir = () => { throw new Error('no home') };${WITHOUT_OWN}`
    expect(help(other, { before: homeless, env: { XDG_CACHE_HOME: undefined } })).toEqual(first)
  })

  test('is in the folder of the user, whatever a relative variable says, also with the cache of Node.js', async () => {
    await using scratch = makeScratch()
    const env = { XDG_CACHE_HOME: 'here', HOME: scratch.path }
    const folder = join(scratch.path, '.cache/mcp-manifold/code')
    expect(help(scratch, { before: WITH_OWN, env }).stderr).toBe(`cache: ${folder}\n`)
    expect(statSync(folder).mode & 0o777).toBe(0o700)
    help(scratch, { env })
    expect(readdirSync(folder).length).toBeGreaterThan(0)
    expect(existsSync(join(scratch.path, 'here'))).toBe(false)
  })
})
