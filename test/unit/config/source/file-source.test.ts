import {
  appendFileSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { FileSource } from '../../../../src/config/source/file-source.ts'
import { FilesRead } from '../../../../src/config/load/files-read.ts'
import { readConfig, type FileReading } from '../../../../src/config/source/reading.ts'
import { GatewayError } from '../../../../src/core/errors.ts'
import { SILENT } from '../../../../src/core/logger.ts'
import { configSourceContract } from '../../../contract/config-source.ts'
import { makeScratch, type Scratch } from '../../../helpers/scratch.ts'

/** Loads in this thread: the thread of its own is that of the built program, and `test/e2e` has it. */
function load(request: { file: string; overrides: object }): {
  reading: Promise<FileReading>
  stop: () => void
} {
  let stop = (): void => {}
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(new GatewayError('cancelled', 'stopped'))
  })
  stopped.catch(() => {})
  return { reading: Promise.race([stopped, readConfig(request)]), stop }
}

function folder(): Scratch {
  const scratch = makeScratch()
  onTestFinished(() => scratch[Symbol.asyncDispose]())
  return scratch
}

const X = { command: 'x' }
const named = (...names: string[]): object => ({
  mcpServers: Object.fromEntries(names.map(name => [name, X])),
})
const textOf = (...names: string[]): string => JSON.stringify(named(...names))

configSourceContract('a file', async () => {
  const scratch = folder()
  const file = scratch.write('servers.json', textOf('one'))
  const source = new FileSource({ file, logger: SILENT, load })
  return Promise.resolve({
    source,
    write: content => writeFileSync(file, content === 'nonsense' ? '{ nonsense' : JSON.stringify(content)),
  })
})

/** A watched file: what it was found to say at each change, as names of servers or `problem`. */
async function watched(file: string): Promise<{ said: string[]; source: FileSource }> {
  const source = new FileSource({ file, logger: SILENT, load })
  onTestFinished(() => source.close())
  const said: string[] = []
  const read = async (): Promise<void> => {
    const { config } = await source.read()
    said.push(config?.servers.map(({ name }) => name).join() ?? 'problem')
  }
  await read()
  await source.watch(() => void read().catch(() => {}))
  return { said, source }
}

const becomes = (said: string[], ...expected: string[]): Promise<void> =>
  expect.poll(() => said).toEqual(expected)
const settled = (ms = 700): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

describe('a file is read again when', () => {
  test('another one is renamed over it, again and again', async () => {
    const scratch = folder()
    const file = scratch.write('servers.json', textOf('a'))
    const { said } = await watched(file)
    renameSync(scratch.write('.servers.json.1', textOf('b')), file)
    await becomes(said, 'a', 'b')
    renameSync(scratch.write('.servers.json.2', textOf('c')), file)
    await becomes(said, 'a', 'b', 'c')
  })

  test('it is truncated, empty for a moment and written in parts, and nothing is read in between', async () => {
    const scratch = folder()
    const file = scratch.write('servers.json', textOf('a'))
    const { said } = await watched(file)
    truncateSync(file)
    await settled(600)
    const text = textOf('b')
    appendFileSync(file, text.slice(0, 10))
    appendFileSync(file, text.slice(10))
    await becomes(said, 'a', 'b')
  })

  test('it stays empty, and once more when it is written', async () => {
    const scratch = folder()
    const file = scratch.write('servers.json', textOf('a'))
    const { said } = await watched(file)
    truncateSync(file)
    await becomes(said, 'a', 'problem')
    await settled()
    writeFileSync(file, textOf('b'))
    await becomes(said, 'a', 'problem', 'b')
  })

  test('it is removed, and once more when it comes back', async () => {
    const scratch = folder()
    const file = scratch.write('servers.json', textOf('a'))
    const { said } = await watched(file)
    rmSync(file)
    await becomes(said, 'a', 'problem')
    scratch.write('servers.json', textOf('b'))
    await becomes(said, 'a', 'problem', 'b')
  })

  test('its whole folder is removed and made anew', async () => {
    const scratch = folder()
    mkdirSync(join(scratch.path, 'etc'))
    const file = scratch.write('etc/servers.json', textOf('a'))
    const { said } = await watched(file)
    rmSync(join(scratch.path, 'etc'), { recursive: true })
    await becomes(said, 'a', 'problem')
    mkdirSync(join(scratch.path, 'etc'))
    scratch.write('etc/servers.json', textOf('b'))
    await becomes(said, 'a', 'problem', 'b')
    writeFileSync(file, textOf('c'))
    await becomes(said, 'a', 'problem', 'b', 'c')
  })

  test('Kubernetes points ..data at another directory', async () => {
    const scratch = folder()
    const version = (name: string, server: string): void => {
      mkdirSync(join(scratch.path, name))
      scratch.write(`${name}/servers.json`, textOf(server))
      symlinkSync(name, join(scratch.path, '..data_tmp'))
      renameSync(join(scratch.path, '..data_tmp'), join(scratch.path, '..data'))
    }
    version('..1', 'a')
    symlinkSync('..data/servers.json', join(scratch.path, 'servers.json'))
    const { said } = await watched(join(scratch.path, 'servers.json'))
    version('..2', 'b')
    rmSync(join(scratch.path, '..1'), { recursive: true })
    await becomes(said, 'a', 'b')
    version('..3', 'c')
    await becomes(said, 'a', 'b', 'c')
  })

  test('a directory on its path is linked elsewhere', async () => {
    const scratch = folder()
    for (const [release, server] of [
      ['r1', 'a'],
      ['r2', 'b'],
    ] as const) {
      mkdirSync(join(scratch.path, release))
      scratch.write(`${release}/servers.json`, textOf(server))
    }
    symlinkSync('r1', join(scratch.path, 'current'))
    const { said } = await watched(join(scratch.path, 'current/servers.json'))
    symlinkSync('r2', join(scratch.path, 'next'))
    renameSync(join(scratch.path, 'next'), join(scratch.path, 'current'))
    await becomes(said, 'a', 'b')
    scratch.write('r2/servers.json', textOf('c'))
    await becomes(said, 'a', 'b', 'c')
  })

  test('an included file is added, changed and removed, and when its envFile is written', async () => {
    const scratch = folder()
    mkdirSync(join(scratch.path, 'conf.d'))
    const file = scratch.write('servers.json', { ...named('a'), include: 'conf.d' })
    const { said, source } = await watched(file)
    scratch.write('conf.d/b.json', named('b'))
    await becomes(said, 'a', 'a,b')
    scratch.write('conf.d/b.json', { mcpServers: { c: { ...X, envFile: 'c.env' } } })
    await becomes(said, 'a', 'a,b', 'a,c')
    // Its entry has a problem until the file is there.
    scratch.write('conf.d/c.env', 'A=1')
    await becomes(said, 'a', 'a,b', 'a,c', 'a,c')
    expect((await source.read()).config?.servers[1]?.problem).toBeUndefined()
    rmSync(join(scratch.path, 'conf.d/b.json'))
    await becomes(said, 'a', 'a,b', 'a,c', 'a,c', 'a')
  })

  test('a certificate is renewed', async () => {
    const scratch = folder()
    for (const name of ['cert.pem', 'key.pem']) scratch.write(name, 'old')
    const tls = { cert: 'cert.pem', key: 'key.pem' }
    const { said, source } = await watched(
      scratch.write('servers.json', { ...named('a'), gateway: { http: { tls } } }),
    )
    const before = (await source.read()).config?.gateway.http.tls?.contentDigest
    scratch.write('cert.pem', 'new')
    await becomes(said, 'a', 'a')
    expect((await source.read()).config?.gateway.http.tls?.contentDigest).not.toBe(before)
  })
})

test('other files beside it start nothing: backups of editors, state, hidden files, other files of an included folder', async () => {
  const scratch = folder()
  mkdirSync(join(scratch.path, 'conf.d'))
  const { said } = await watched(scratch.write('servers.json', { ...named('a'), include: 'conf.d' }))
  for (const name of [
    'servers.json~',
    '.servers.json.swp',
    '4913',
    'servers.json.bak',
    'conf.d/.b.json',
    'conf.d/b.json~',
  ])
    scratch.write(name, textOf('b'))
  await settled()
  expect(said).toEqual(['a'])
})

test('a file that is too large is refused with its name, and has a mark and a digest', async () => {
  const scratch = folder()
  const file = scratch.write('servers.json', textOf('one'))
  truncateSync(file, 17 * 1024 * 1024)
  const { reading, marks } = await readConfig({ file, overrides: {} })
  expect(marks.map(({ path }) => path)).toEqual([file])
  expect(reading).toMatchObject({
    problem: expect.stringContaining(
      `The configuration ${file} was not loaded: it is larger than 16777216 bytes, which is the most. Check its path`,
    ) as string,
  })
  const including = scratch.write('including.json', JSON.stringify({ include: 'servers.json' }))
  const second = await readConfig({ file: including, overrides: {} })
  expect(second.marks.map(({ path }) => path)).toEqual([including, file])
  expect(second.reading).toMatchObject({
    problem: expect.stringContaining('larger than 16777216 bytes') as string,
  })
  expect(new Set([reading.digest, second.reading.digest, new FilesRead().digest]).size).toBe(3)
})

test('a file is read within seconds while it is touched without end', async () => {
  const scratch = folder()
  const file = scratch.write('servers.json', textOf('a'))
  const { said } = await watched(file)
  writeFileSync(file, textOf('b'))
  const touching = setInterval(() => utimesSync(file, new Date(), new Date()), 50)
  onTestFinished(() => clearInterval(touching))
  await expect.poll(() => said.at(-1)).toBe('b')
})
