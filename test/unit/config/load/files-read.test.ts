import { truncateSync } from 'node:fs'
import { expect, test } from 'vitest'
import { FilesRead } from '../../../../src/config/load/files-read.ts'
import { MAX_FILE_BYTES } from '../../../../src/regular-file.ts'
import { makeScratch } from '../../../helpers/scratch.ts'

test('a file that is too large is given up at the limit, and a device is not opened', async () => {
  await using scratch = makeScratch()
  const large = scratch.write('large', '')
  truncateSync(large, MAX_FILE_BYTES + 1)
  for (const [path, code] of [
    [large, 'EFBIG'],
    ['/dev/zero', 'ENOTREG'],
  ] as const) {
    await expect(new FilesRead().read(path)).rejects.toMatchObject({ code })
    expect(() => new FilesRead().readNow(path)).toThrow(expect.objectContaining({ code }) as Error)
    const files = new FilesRead()
    expect(await files.digestOf(path)).toBe(code)
    expect(files.marks).toMatchObject([{ path }])
  }
})

test('a file as large as the limit is read whole', async () => {
  await using scratch = makeScratch()
  const file = scratch.write('most', 'begin')
  truncateSync(file, MAX_FILE_BYTES)
  const content = await new FilesRead().read(file)
  expect(content.length).toBe(MAX_FILE_BYTES)
  expect(content.subarray(0, 5).toString()).toBe('begin')
  expect(new FilesRead().readNow(file).equals(content)).toBe(true)
})
