import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { LogFields, Logger } from '../../../src/core/logger.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { logConsole } from '../../../src/observe/console-records.ts'
import { openLmdbStore } from '../../../src/state/lmdb.ts'
import { makeScratch } from '../../helpers/scratch.ts'

const MINUTE = 60_000

let said: { message: string; times: LogFields[string] }[] = []
let end: () => void
beforeEach(() => {
  said = []
  const logger: Logger = {
    ...SILENT,
    warn: (message, fields) => void said.push({ message, times: fields?.times }),
  }
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  end = logConsole(logger)
})
afterEach(() => {
  end()
  vi.useRealTimers()
})

it('what a library prints a thousand times is a record at once, then one a minute with a count', () => {
  for (let number = 0; number < 1000; number++) console.error(new Error('Input/output error'))
  console.warn('%s is full', 'the disk')
  expect(said).toEqual([
    { message: 'A library reports: Error: Input/output error', times: undefined },
    { message: 'A library reports: the disk is full', times: undefined },
  ])
  vi.advanceTimersByTime(MINUTE)
  expect(said.slice(2)).toEqual([{ message: 'A library reports: Error: Input/output error', times: 999 }])
  vi.advanceTimersByTime(10 * MINUTE)
  expect(said).toHaveLength(3)
})

it('a library that prints another text each time does not fill the log, and shows no secret', () => {
  for (let number = 0; number < 10_000; number++) console.log(`number ${number} of token=abcdefgh`)
  expect(said.length).toBeLessThan(60)
  expect(said[0]?.message).not.toContain('abcdefgh')
  vi.advanceTimersByTime(MINUTE)
  expect(said.at(-1)).toEqual({ message: 'A library reports: several other problems', times: 9949 })
})

it.skipIf(process.getuid?.() !== 0 || process.platform !== 'linux')(
  'a store on a full file system reports each failed write to its caller, and once to the log',
  async () => {
    vi.useRealTimers()
    await using scratch = makeScratch()
    const folder = join(scratch.path, 'small')
    mkdirSync(folder)
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', folder], { stdio: 'ignore' })
    } catch {
      // Not every container may mount.
      return
    }
    try {
      const store = openLmdbStore(join(folder, 'state'))
      let failed = 0
      for (let number = 0; number < 150; number++)
        await store.set(`key ${number}`, 'x'.repeat(5000)).catch(() => failed++)
      await store.close()
      expect(failed).toBeGreaterThan(50)
      expect(said).toHaveLength(1)
      expect(said[0]?.message).toContain('A library reports: Error:')
    } finally {
      execFileSync('umount', [folder])
    }
  },
)
