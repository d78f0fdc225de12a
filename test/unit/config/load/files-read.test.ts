import { truncateSync } from 'node:fs'
import { expect, test } from 'vitest'
import { FilesRead, MAX_FILE_BYTES } from '../../../../src/config/load/files-read.ts'
import { makeScratch } from '../../../helpers/scratch.ts'

test('a file without end, and one that is too large, are given up at the limit', async () => {
  await using scratch = makeScratch()
  const large = scratch.write('large', '')
  truncateSync(large, MAX_FILE_BYTES + 1)
  for (const path of [large, '/dev/zero']) {
    await expect(new FilesRead().read(path)).rejects.toMatchObject({ code: 'EFBIG' })
    expect(() => new FilesRead().readNow(path)).toThrow('more than')
    expect(await new FilesRead().digestOf(path)).toBe('EFBIG')
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
