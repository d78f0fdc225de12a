import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { zipSync } from 'fflate'
import { expect, onTestFinished, test } from 'vitest'
import { readArchive } from '../../../src/bundles/archive.ts'
import { makeScratch } from '../../helpers/scratch.ts'

const LIMITS = { maxArchiveBytes: 10_000, maxFiles: 3, maxBytes: 5000 }

function archive(bytes: Uint8Array): string {
  const scratch = makeScratch()
  onTestFinished(() => scratch[Symbol.asyncDispose]())
  const file = join(scratch.path, 'a.mcpb')
  writeFileSync(file, bytes)
  return file
}

const zeros = (size: number): Uint8Array => new Uint8Array(size)

test('files are read by their paths', async () => {
  const files = await readArchive(
    archive(zipSync({ a: Buffer.from('1'), d: { b: Buffer.from('2') } })),
    LIMITS,
  )
  expect([...files].map(([path, content]) => [path, Buffer.from(content).toString()])).toEqual([
    ['a', '1'],
    ['d/b', '2'],
  ])
})

test.each([
  ['an archive that is too large', () => zeros(10_001), 'has more than 10000 bytes'],
  [
    'too many files',
    () => zipSync({ a: zeros(1), b: zeros(1), c: zeros(1), d: zeros(1) }),
    'more than 3 files',
  ],
  ['a bomb', () => zipSync({ a: zeros(1_000_000) }), 'unpacks to more than 5000 bytes'],
  [
    'many small parts of a bomb',
    () => zipSync({ a: zeros(2000), b: zeros(2000), c: zeros(2000) }),
    '5000 bytes',
  ],
])('%s is refused before it is unpacked', async (_name, bytes, message) => {
  await expect(readArchive(archive(bytes()), LIMITS)).rejects.toThrow(message)
})

test('a size that lies gives no more bytes than it says', async () => {
  const bytes = Buffer.from(zipSync({ a: zeros(100_000) }))
  // The size after unpacking, in the local header and in the central directory.
  for (let at = bytes.indexOf('PK\x03\x04'); at >= 0; at = bytes.indexOf('PK\x03\x04', at + 4))
    bytes.writeUInt32LE(10, at + 22)
  const central = bytes.indexOf('PK\x01\x02')
  bytes.writeUInt32LE(10, central + 24)
  const files = await readArchive(archive(bytes), LIMITS)
  expect([...files].map(([path, { length }]) => [path, length])).toEqual([['a', 10]])
})

/** An archive with files that are stored as they are. Each entry of the directory is changed by `change`. */
function changed(files: Record<string, Uint8Array>, change: (bytes: Buffer, at: number) => void): Buffer {
  const bytes = Buffer.from(zipSync(files, { level: 0 }))
  for (let at = bytes.indexOf('PK\x01\x02'); at >= 0; at = bytes.indexOf('PK\x01\x02', at + 4))
    change(bytes, at)
  return bytes
}

test('a stored file that hides its size is refused', async () => {
  const bytes = changed({ a: zeros(4000) }, (all, at) => all.writeUInt32LE(0, at + 24))
  await expect(readArchive(archive(bytes), LIMITS)).rejects.toThrow('gives two sizes for "a"')
})

test('files that share their bytes are refused', async () => {
  const bytes = changed({ a: zeros(2000), b: zeros(10), c: zeros(10) }, (all, at) => {
    all.writeUInt32LE(2000, at + 20)
    all.writeUInt32LE(2000, at + 24)
    all.writeUInt32LE(0, at + 42)
  })
  await expect(readArchive(archive(bytes), { ...LIMITS, maxBytes: 50_000 })).rejects.toThrow('overlap')
})
