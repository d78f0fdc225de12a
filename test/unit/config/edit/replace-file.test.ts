import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync, utimesSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { NotWritten, replaceFile } from '../../../../src/config/edit/replace-file.ts'
import { makeScratch, type Scratch } from '../../../helpers/scratch.ts'

const LOCK = '.c.json.mcp-manifold'
const ID = '00000000-0000-4000-8000-000000000000'
const always = (): Promise<boolean> => Promise.resolve(true)

function folder(): Scratch {
  const scratch = makeScratch()
  onTestFinished(() => scratch[Symbol.asyncDispose]())
  return scratch
}

describe('a file that is replaced', () => {
  test('keeps its mode, and nothing is left beside it', async () => {
    const scratch = folder()
    const file = scratch.write('c.json', 'old')
    const { mode } = statSync(file)
    expect(await replaceFile(file, 'new', always)).toBe(true)
    expect(readFileSync(file, 'utf8')).toBe('new')
    expect(statSync(file).mode).toBe(mode)
    expect(await replaceFile(file, 'newer', () => Promise.resolve(false))).toBe(false)
    expect(readFileSync(file, 'utf8')).toBe('new')
    expect(readdirSync(scratch.path)).toEqual(['c.json'])
  })

  test('a writer that comes while another one writes is refused', async () => {
    const file = folder().write('c.json', 'old')
    let second: unknown
    await replaceFile(file, 'first', async () => {
      second = await replaceFile(file, 'second', always).catch((error: unknown) => error)
      return true
    })
    expect(second).toBeInstanceOf(NotWritten)
    expect(readFileSync(file, 'utf8')).toBe('first')
  })
})

describe('a lock that was left behind', () => {
  test.each([
    ['a process that has ended', () => spawnSync(process.execPath, ['-e', '']).pid],
    ['an earlier process of the same number', () => process.pid],
  ])('by %s is taken over at once, with what it had not finished', async (_, pid) => {
    const scratch = folder()
    const file = scratch.write('c.json', 'old')
    scratch.write(LOCK, `${pid()} ${ID} ${hostname()}`)
    scratch.write(`${LOCK}.${ID}`, 'half')
    expect(await replaceFile(file, 'new', always)).toBe(true)
    expect(readdirSync(scratch.path)).toEqual(['c.json'])
  })

  test.each([
    ['a process that runs', () => `${process.ppid} ${ID} ${hostname()}`],
    ['another machine', () => `1 ${ID} elsewhere.${hostname()}`],
    ['an unknown process', () => ''],
  ])('by %s is taken over after a minute', async (_, content) => {
    const scratch = folder()
    const file = scratch.write('c.json', 'old')
    const lock = scratch.write(LOCK, content())
    await expect(replaceFile(file, 'new', always)).rejects.toThrow(`if none is, remove ${lock}`)
    const past = Date.now() / 1000 - 61
    utimesSync(lock, past, past)
    expect(await replaceFile(file, 'new', always)).toBe(true)
  })

  test('that many writers meet leaves the whole text of one of them', async () => {
    const scratch = folder()
    const file = scratch.write('c.json', 'old')
    for (let round = 0; round < 30; round++) {
      const lock = scratch.write(LOCK, `2 ${ID} elsewhere`)
      const past = Date.now() / 1000 - 61
      utimesSync(lock, past, past)
      const texts = ['a', 'b', 'c', 'd'].map(text => text.repeat(200_000))
      const results = await Promise.allSettled(
        texts.map(text =>
          replaceFile(file, text, async () => {
            await new Promise(resolve => setTimeout(resolve, 5))
            return true
          }),
        ),
      )
      expect(results.some(({ status }) => status === 'fulfilled')).toBe(true)
      expect(texts).toContain(readFileSync(file, 'utf8'))
      expect(readdirSync(join(file, '..'))).toEqual(['c.json'])
    }
  })
})
