import { execFile, execFileSync } from 'node:child_process'
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import type { Logger } from '../../../src/core/logger.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { AppendFile, MAX_WAITING_BYTES } from '../../../src/observe/append-file.ts'
import type { AppendFileOptions } from '../../../src/observe/append-file.ts'
import { makeScratch } from '../../helpers/scratch.ts'

const WRITER = fileURLToPath(new URL('../../fixtures/programs/line-writer.js', import.meta.url))

const options = (file: string, more: Partial<AppendFileOptions> = {}): AppendFileOptions => ({
  file,
  maxBytes: 100_000_000,
  maxFiles: 10,
  logger: SILENT,
  lost: count => `{"dropped":${count}}`,
  ...more,
})

const linesOf = (file: string): string[] => readFileSync(file, 'utf8').split('\n').slice(0, -1)

/** A logger that keeps what it is told. */
function listening(): { logger: Logger; said: string[] } {
  const said: string[] = []
  return { said, logger: { ...SILENT, error: message => void said.push(message) } }
}

describe('lines', () => {
  it('are in the file when it is closed, in their order, readable by the owner only', async () => {
    await using scratch = makeScratch()
    const file = join(scratch.path, 'deep', 'er', 'audit.jsonl')
    const lines = new AppendFile(options(file))
    for (let number = 0; number < 5000; number++) lines.write(`line ${number} é`)
    await lines.close()
    await lines.close()
    lines.write('too late')
    expect(linesOf(file)).toEqual(Array.from({ length: 5000 }, (_, number) => `line ${number} é`))
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })

  it('are written together, one write at a time', async () => {
    await using scratch = makeScratch()
    let writes = 0
    let under = 0
    const append = async (handle: FileHandle, bytes: Buffer): Promise<number> => {
      expect(++under).toBe(1)
      writes++
      const { bytesWritten } = await handle.write(bytes)
      under--
      return bytesWritten
    }
    const lines = new AppendFile(options(join(scratch.path, 'a'), { append }))
    for (let number = 0; number < 1000; number++) lines.write(`${number}`)
    await lines.flush()
    expect(writes).toBe(1)
    for (let number = 0; number < 1000; number++) lines.write('x'.repeat(1000))
    await lines.flush()
    await lines.close()
    expect(linesOf(join(scratch.path, 'a'))).toHaveLength(2000)
    expect(writes).toBeLessThan(25)
  })

  it('are written after a moment by themselves', async () => {
    await using scratch = makeScratch()
    let written!: () => void
    const done = new Promise<void>(resolve => (written = resolve))
    const append = async (handle: FileHandle, bytes: Buffer): Promise<number> => {
      const { bytesWritten } = await handle.write(bytes)
      written()
      return bytesWritten
    }
    const lines = new AppendFile(options(join(scratch.path, 'a'), { append }))
    lines.write('one')
    await done
    expect(linesOf(join(scratch.path, 'a'))).toEqual(['one'])
    await lines.close()
  })
})

describe('a file that is large', () => {
  it('is put aside, and only so many are kept', async () => {
    await using scratch = makeScratch()
    const file = join(scratch.path, 'audit.jsonl')
    scratch.write('audit.jsonl.bak', 'not ours')
    const lines = new AppendFile(options(file, { maxBytes: 1000, maxFiles: 3 }))
    for (let number = 0; number < 100; number++) {
      lines.write(String(number).padStart(99, '.'))
      await lines.flush()
    }
    await lines.close()
    const names = readdirSync(scratch.path).sort()
    const ours = names.filter(name => name !== 'audit.jsonl.bak')
    expect(names).toHaveLength(4)
    for (const name of ours) expect(statSync(join(scratch.path, name)).size).toBeLessThanOrEqual(1000)
    // The newest are kept: the current file sorts first, it is the last in time.
    const kept = [...ours.slice(1), 'audit.jsonl'].flatMap(name => linesOf(join(scratch.path, name)))
    expect(kept.map(line => Number(line.replaceAll('.', '')))).toEqual(
      Array.from({ length: kept.length }, (_, at) => 100 - kept.length + at),
    )
  })

  it('is rotated although a process died while rotating it', async () => {
    await using scratch = makeScratch()
    const file = scratch.write('a', `${'x'.repeat(1999)}\n`)
    const lock = scratch.write('a.lock', '')
    const lines = new AppendFile(options(file, { maxBytes: 1000 }))
    lines.write('meanwhile')
    await lines.flush()
    expect(readFileSync(file, 'utf8')).toBe(`${'x'.repeat(1999)}\nmeanwhile\n`)
    utimesSync(lock, 0, 0)
    for (const line of ['finds it', 'puts aside']) {
      lines.write(line)
      await lines.flush()
    }
    await lines.close()
    expect(linesOf(file)).toEqual(['puts aside'])
    expect(readdirSync(scratch.path)).toHaveLength(2)
  })

  it('is shared by processes that all write and put aside: every line arrives once and whole', async () => {
    await using scratch = makeScratch()
    const file = join(scratch.path, 'audit.jsonl')
    const writers = ['a', 'b', 'c']
    await Promise.all(
      writers.map(writer =>
        promisify(execFile)(process.execPath, [WRITER, file, writer, '2000', '50000', '1000']),
      ),
    )
    const names = readdirSync(scratch.path)
    const seen = names
      .flatMap(name => linesOf(join(scratch.path, name)))
      .map(line => JSON.parse(line) as { writer: string; number: number })
    expect(names.length).toBeGreaterThan(5)
    expect(names.filter(name => name.endsWith('.lock'))).toEqual([])
    expect(seen).toHaveLength(6000)
    for (const writer of writers)
      expect(new Set(seen.filter(line => line.writer === writer).map(({ number }) => number)).size).toBe(2000)
  })
})

describe('a disk that cannot be written', () => {
  it('keeps what there is room for, and says what it lost when it works again', async () => {
    await using scratch = makeScratch()
    const file = join(scratch.path, 'a')
    const { logger, said } = listening()
    let broken = true
    const append = async (handle: FileHandle, bytes: Buffer): Promise<number> => {
      if (broken) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
      return (await handle.write(bytes)).bytesWritten
    }
    const lines = new AppendFile(options(file, { logger, append }))
    const line = 'x'.repeat(1023)
    const fit = MAX_WAITING_BYTES / 1024
    for (let number = 0; number < fit + 100; number++) {
      lines.write(line)
      if (number % 1000 === 0) await lines.flush()
    }
    expect(lines.lost).toBe(100)
    // Once, however often it is tried.
    expect(said).toHaveLength(1)
    broken = false
    await lines.flush()
    lines.write('works again')
    await lines.close()
    const written = linesOf(file)
    expect(written).toHaveLength(fit + 2)
    expect(written.filter(text => text === '{"dropped":100}')).toHaveLength(1)
    expect(written.at(-1)).toBe('works again')
  })

  it('in the middle of a line leaves every line whole, once', async () => {
    await using scratch = makeScratch()
    const file = join(scratch.path, 'a')
    let room = 25
    const append = async (handle: FileHandle, bytes: Buffer): Promise<number> => {
      const { bytesWritten } = await handle.write(bytes.subarray(0, room))
      room = 1e9
      return bytesWritten
    }
    const lines = new AppendFile(options(file, { append }))
    for (const line of ['first line', 'second line', 'third line']) lines.write(line)
    await lines.flush()
    lines.write('fourth line')
    await lines.close()
    expect(linesOf(file)).toEqual(['first line', 'second line', 'third line', 'fourth line'])
  })

  it('in the middle of a line, with lines of another process behind it, touches none of those', async () => {
    await using scratch = makeScratch()
    const file = join(scratch.path, 'a')
    let room = 14
    const append = async (handle: FileHandle, bytes: Buffer): Promise<number> => {
      const { bytesWritten } = await handle.write(bytes.subarray(0, room))
      if (room < 1e9) appendFileSync(file, 'of another\n')
      room = 1e9
      return bytesWritten
    }
    const lines = new AppendFile(options(file, { append }))
    for (const line of ['first line', 'second line']) lines.write(line)
    await lines.flush()
    await lines.close()
    expect(linesOf(file)).toEqual(['first line', 'secof another', '', 'second line'])
  })

  it('any more when the process ends leaves whole lines', async () => {
    await using scratch = makeScratch()
    const file = join(scratch.path, 'a')
    const append = async (handle: FileHandle, bytes: Buffer): Promise<number> =>
      (await handle.write(bytes.subarray(0, 14))).bytesWritten
    const lines = new AppendFile(options(file, { append }))
    for (const line of ['first line', 'a second line', 'a third line']) lines.write(line)
    await lines.close()
    expect(readFileSync(file, 'utf8')).toBe('first line\n')
  })

  it('that left half a line of an earlier process does not take the next line with it, and the half counts as lost', async () => {
    await using scratch = makeScratch()
    const file = scratch.write('a', 'whole\nha')
    const lines = new AppendFile(options(file))
    lines.write('next')
    await lines.close()
    expect(linesOf(file)).toEqual(['whole', 'ha', 'next', '{"dropped":1}'])
  })

  it.skipIf(process.getuid?.() !== 0 || process.platform !== 'linux')(
    'for real: a full file system',
    async () => {
      await using scratch = makeScratch()
      const folder = join(scratch.path, 'small')
      mkdirSync(folder)
      try {
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder], { stdio: 'ignore' })
      } catch {
        // Not every container may mount.
        return
      }
      try {
        writeFileSync(join(folder, 'ballast'), Buffer.alloc(48 * 1024))
        const file = join(folder, 'a')
        const { logger, said } = listening()
        const lines = new AppendFile(options(file, { logger }))
        for (let number = 0; number < 300; number++) lines.write(`${number} `.padEnd(100, '.'))
        await lines.flush()
        expect(said).toHaveLength(1)
        // What is there is whole lines, although the room ended within one.
        const text = readFileSync(file, 'utf8')
        expect(text.length).toBeGreaterThan(0)
        expect(text.split('\n').every(line => line.length === 100 || line === '')).toBe(true)
        writeFileSync(join(folder, 'ballast'), '')
        await lines.flush()
        await lines.close()
        expect(linesOf(file).map(line => Number(line.slice(0, line.indexOf(' '))))).toEqual(
          Array.from({ length: 300 }, (_, number) => number),
        )
      } finally {
        execFileSync('umount', [folder])
      }
    },
  )

  it('at the end is reported', async () => {
    await using scratch = makeScratch()
    const { logger, said } = listening()
    // A directory where the file should be.
    const lines = new AppendFile(options(scratch.path, { logger }))
    lines.write('one')
    await lines.close()
    expect(said.at(-1)).toContain('lost')
  })
})
