import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { SILENT, type Logger } from '../../../src/core/logger.ts'
import { openStore } from '../../../src/state/open.ts'

let root = ''
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'manifold-open-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

function recorder(): { logger: Logger; warnings: string[] } {
  const warnings: string[] = []
  return { warnings, logger: { ...SILENT, warn: message => void warnings.push(message) } }
}

it('opens what the configuration names', async () => {
  const { logger, warnings } = recorder()
  const memory = await openStore('memory', logger)
  const lmdb = await openStore(`lmdb:${root}/good`, logger)
  expect([memory.name, lmdb.name]).toEqual(['memory', `lmdb:${root}/good`])
  await lmdb.set('a', '1')
  expect(await lmdb.get('a')).toBe('1')
  await Promise.all([memory.close(), lmdb.close()])
  expect(warnings).toEqual([])
  await expect(openStore('etcd://x', logger)).rejects.toMatchObject({
    name: 'GatewayError',
    code: 'config',
    message: expect.stringContaining('Fix:') as string,
  })
})

it('goes on in memory when the folder cannot be made', async () => {
  await writeFile(join(root, 'file'), '')
  const { logger, warnings } = recorder()
  const store = await openStore(`lmdb:${root}/file/state`, logger)
  expect(store.name).toBe('memory')
  await store.set('a', '1')
  expect(await store.get('a')).toBe('1')
  expect(warnings).toHaveLength(1)
  expect(warnings[0]).toContain(`${root}/file/state`)
  expect(warnings[0]).toMatch(/ENOTDIR.*Fix: make the folder writable/)
  await store.close()
})

const garbage: [string, Buffer][] = [
  ['text', Buffer.from('no database '.repeat(10_000))],
  ['a few bytes', Buffer.from('abc')],
  ['zeros', Buffer.alloc(16_384)],
]
it.each(garbage)('sets a file aside that is %s, and goes on with a new one', async (name, content) => {
  await mkdir(join(root, name))
  await writeFile(join(root, name, 'data.mdb'), content)
  const { logger, warnings } = recorder()
  const store = await openStore(`lmdb:${root}/${name}`, logger)
  expect(store.name).toBe(`lmdb:${root}/${name}`)
  expect(warnings[0]).toMatch(/was damaged .* set aside as/)
  expect(store.lostAt).toBeTypeOf('number')
  await store.set('a', '1')
  expect(await store.get('a')).toBe('1')
  await store.close()
  const aside = (await readdir(join(root, name))).find(file => file.startsWith('data.mdb.damaged-'))
  expect(await readFile(join(root, name, aside as string))).toEqual(content)
})

it('opens a file that was cut anywhere without the end of the process', async () => {
  const whole = await openStore(`lmdb:${root}/whole`, SILENT)
  for (let index = 0; index < 300; index++)
    await whole.set(`k/${index}`, 'x'.repeat(index % 10 === 0 ? 20_000 : 200))
  for (let index = 0; index < 300; index += 3) await whole.delete(`k/${index}`)
  await whole.close()
  const content = await readFile(join(root, 'whole/data.mdb'))
  const sizes = [1, 100, 4095, 4096, 8191, 8192, 12_288, 40_960, 0.5, 0.9]
  const ends = sizes.map(size => (size < 1 ? Math.floor(content.length * size) : size))
  ends.push(content.length - 4096, content.length - 1, content.length)
  const program = new URL('../../fixtures/programs/open-damaged-store.js', import.meta.url).pathname
  for (const size of ends) {
    const path = join(root, `cut-${size}`)
    await mkdir(path)
    await writeFile(join(path, 'data.mdb'), content.subarray(0, size))
    const child = spawn(process.execPath, [program, path], { stdio: ['ignore', 'pipe', 'inherit'] })
    let said = ''
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
    expect([size, code, signal]).toEqual([size, 0, null])
    const { heard, read } = JSON.parse(said) as { heard: string[]; read: number }
    // Whole as far as it is in use, or set aside.
    expect([size, heard.length, read]).toEqual([size, heard.length, heard.length === 0 ? 200 : 0])
    if (size === content.length) expect(heard).toEqual([])
    if (size <= content.length / 2) expect(heard).toHaveLength(1)
  }
})

it('counts nothing in place of a store that cannot be opened', async () => {
  await writeFile(join(root, 'taken'), '')
  const store = await openStore(`lmdb:${root}/taken/state`, SILENT)
  const window = { slidingMs: 1000 }
  const taken = store.take({ key: 'a', limit: 9, window, want: 1, atLeast: 1, spend: 0 })
  await expect(taken).rejects.toThrow('could not be opened')
  const held = store.hold({ key: 'a', holder: 'h', want: 1, limit: 1, ttlMs: 1000 })
  await expect(held).rejects.toThrow('could not be opened')
  await store.close()
})

it('finds what is made in its folder after that was deleted', async () => {
  const { logger, warnings } = recorder()
  const store = await openStore(`lmdb:${root}/deleted`, logger)
  await store.set('a', '1')
  await rm(join(root, 'deleted'), { recursive: true })
  const other = await openStore(`lmdb:${root}/deleted`, logger)
  await other.set('b', '2')
  await expect.poll(() => store.get('b')).toBe('2')
  expect(await store.get('a')).toBeUndefined()
  expect([typeof store.lostAt, other.lostAt]).toEqual(['number', undefined])
  await store.set('c', '3')
  expect(await other.get('c')).toBe('3')
  expect(warnings).toEqual([expect.stringContaining('was deleted or replaced')])
  await Promise.all([store.close(), other.close()])
})

it('makes an empty file a database', async () => {
  await mkdir(join(root, 'empty'))
  await writeFile(join(root, 'empty/data.mdb'), '')
  const store = await openStore(`lmdb:${root}/empty`, SILENT)
  expect(store.name).toBe(`lmdb:${root}/empty`)
  await store.close()
})
