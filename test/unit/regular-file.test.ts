import { execFileSync } from 'node:child_process'
import { symlinkSync, truncateSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import {
  MAX_FILE_BYTES,
  readFileOrDescriptor,
  readRegularFile,
  readRegularFileNow,
  whyUnreadable,
} from '../../src/regular-file.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'

function folder(): Scratch {
  const scratch = makeScratch()
  onTestFinished(() => scratch[Symbol.asyncDispose]())
  return scratch
}

/** Why each of the ways to read it refuses a path; one text, since all agree. */
async function whyOf(path: string): Promise<string> {
  const whys = await Promise.all(
    [readRegularFile, readFileOrDescriptor].map(read => read(path).then(() => 'read', whyUnreadable)),
  )
  try {
    readRegularFileNow(path)
    whys.push('read')
  } catch (error) {
    whys.push(whyUnreadable(error))
  }
  expect(new Set(whys).size).toBe(1)
  return whys[0] ?? ''
}

test('a pipe, a device, a socket and a folder are refused at once, also behind a link, and each is named', async () => {
  const { path } = folder()
  const [pipe, socket, link] = [join(path, 'pipe'), join(path, 'socket'), join(path, 'link')]
  execFileSync('mkfifo', [pipe])
  symlinkSync(pipe, link)
  const server = createServer()
  await new Promise<void>(resolve => server.listen(socket, resolve))
  onTestFinished(() => void server.close())
  expect(await whyOf(pipe)).toBe('it is a pipe, and only regular files are read')
  expect(await whyOf(link)).toBe('it is a pipe, and only regular files are read')
  expect(await whyOf('/dev/zero')).toBe('it is a device, and only regular files are read')
  expect(await whyOf(socket)).toBe('it is a socket, and only regular files are read')
  expect(await whyOf(path)).toBe('it is a directory')
})

test('a file that is absent, too large, or a circle of links is refused with that cause', async () => {
  const scratch = folder()
  const large = scratch.write('large', '')
  truncateSync(large, MAX_FILE_BYTES + 1)
  const circle = join(scratch.path, 'circle')
  symlinkSync(circle, circle)
  expect(await whyOf(join(scratch.path, 'none'))).toBe('there is no such file')
  expect(await whyOf(large)).toBe('it is larger than 16777216 bytes, which is the most')
  expect(await whyOf(circle)).toBe('its links lead in a circle (ELOOP)')
})

test('a file is read whole, also behind links, and where its size says nothing', async () => {
  const scratch = folder()
  const [link, second] = [join(scratch.path, 'link'), join(scratch.path, 'second')]
  symlinkSync(scratch.write('file', 'content'), link)
  symlinkSync(link, second)
  for (const path of [second, '/proc/self/status']) expect(await whyOf(path)).toBe('read')
  expect((await readRegularFile(second)).toString()).toBe('content')
})
