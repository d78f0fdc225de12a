import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
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
  await expect(openStore('etcd://x', logger)).rejects.toThrow('Fix:')
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
it.each(garbage)('goes on in memory when the file is %s', async (name, content) => {
  await mkdir(join(root, name))
  await writeFile(join(root, name, 'data.mdb'), content)
  const { logger, warnings } = recorder()
  const store = await openStore(`lmdb:${root}/${name}`, logger)
  expect(store.name).toBe('memory')
  expect(warnings[0]).toMatch(/is damaged.*Fix: the file is damaged; delete/)
  await store.close()
})

it('goes on in memory when the file was cut', async () => {
  const { logger, warnings } = recorder()
  const whole = await openStore(`lmdb:${root}/cut`, logger)
  for (let index = 0; index < 20; index++) await whole.set(`k/${index}`, 'x'.repeat(20_000))
  await whole.close()
  await truncate(join(root, 'cut/data.mdb'), 40_960)
  const store = await openStore(`lmdb:${root}/cut`, logger)
  expect(store.name).toBe('memory')
  expect(warnings[0]).toMatch(/its end is missing.*Fix:/)
  await store.close()
})

it('makes an empty file a database', async () => {
  await mkdir(join(root, 'empty'))
  await writeFile(join(root, 'empty/data.mdb'), '')
  const store = await openStore(`lmdb:${root}/empty`, SILENT)
  expect(store.name).toBe(`lmdb:${root}/empty`)
  await store.close()
})
