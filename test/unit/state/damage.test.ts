import { copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { damageInside, damageOf } from '../../../src/state/lmdb-file.ts'
import { openLmdbStore } from '../../../src/state/lmdb.ts'
import { openToRead } from '../../../src/state/open-to-read.ts'
import { folderForTest } from '../../helpers/admin-client.ts'
import { runProgram } from '../cli/program.ts'

/** Damage of a state that LMDB reads as if nothing were there. */

const PAGE = 4096

/** A state with keys, and its data file. */
async function filled(folder: string): Promise<string> {
  const path = join(folder, 'state')
  const store = openLmdbStore(path)
  for (let index = 0; index < 200; index++) await store.set(`k/${index}`, 'x'.repeat(200))
  await store.set('large', 'x'.repeat(50_000))
  await store.close()
  return join(path, 'data.mdb')
}

/** Where the page with the root of the newest tree begins. */
function rootOf(file: string): number {
  const content = readFileSync(file)
  const metas = [24, PAGE + 24]
  const newest = metas.reduce((one, other) =>
    content.readBigUInt64LE(one + 128) > content.readBigUInt64LE(other + 128) ? one : other,
  )
  return Number(content.readBigUInt64LE(newest + 112)) * PAGE
}

function overwrite(file: string, at: number, bytes: Buffer): void {
  const content = readFileSync(file)
  bytes.copy(content, at)
  writeFileSync(file, content)
}

describe('a data file', () => {
  test('without damage has none, also while others write', async () => {
    const file = await filled(folderForTest().path)
    expect(damageInside(file)).toBeUndefined()
    const store = openLmdbStore(join(file, '..'))
    try {
      for (let index = 0; index < 100; index++) {
        const written = store.set(`k/${index}`, 'y'.repeat(index * 20))
        expect(damageInside(file)).toBeUndefined()
        await written
      }
    } finally {
      await store.close()
    }
  })

  test('whose pages are overwritten is damaged, which its head does not show', async () => {
    const file = await filled(folderForTest().path)
    const whole = `${file}.whole`
    copyFileSync(file, whole)
    const root = rootOf(file)
    // Nothing at all; a leaf without entries; a page with fewer entries.
    const leaf = Buffer.from([2, 0, 0, 0])
    for (const [at, bytes] of [
      [root, Buffer.alloc(PAGE)],
      [root + 18, leaf],
      [root + 20, Buffer.from([2, 0])],
    ] as const) {
      copyFileSync(whole, file)
      overwrite(file, at, bytes)
      expect(damageOf(file)).toBeUndefined()
      expect(damageInside(file)).toBe('its pages are damaged')
    }
  })
})

test.each(['credentials list', 'keys list', 'usage', 'keys revoke abc', 'cache stats'])(
  'a command does not show a damaged state as an empty one: %s',
  async command => {
    const folder = folderForTest()
    const file = await filled(folder.path)
    overwrite(file, rootOf(file), Buffer.alloc(PAGE))
    const before = readFileSync(file)
    const config = folder.write('servers.json', {
      mcpServers: { s: { command: 'x' } },
      clients: { ci: {} },
      gateway: { state: `lmdb:${folder.path}/state` },
    })
    const { code, stdout, stderr } = await runProgram([...command.split(' '), '--config', config], {
      cwd: folder.path,
    })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain(`The state in "${folder.path}/state" is damaged (its pages are damaged)`)
    expect(stderr).not.toContain('    at ')
    expect(readFileSync(file).equals(before)).toBe(true)
  },
)

test('a store that is opened to read changes nothing', async () => {
  const folder = folderForTest()
  const file = await filled(folder.path)
  const before = [readFileSync(file), statSync(file).mtimeMs]
  const store = await openToRead(`lmdb:${folder.path}/state`)
  expect(await store?.get('k/7')).toBe('x'.repeat(200))
  await expect(store?.set('k/7', 'other')).rejects.toThrow()
  await store?.close()
  expect([readFileSync(file), statSync(file).mtimeMs]).toEqual(before)
  for (const other of ['memory', 'redis://127.0.0.1:1', `lmdb:${folder.path}/nowhere`])
    expect(await openToRead(other)).toBeUndefined()
})
