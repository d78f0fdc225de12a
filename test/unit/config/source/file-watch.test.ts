import type { FSWatcher } from 'node:fs'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { FileWatch } from '../../../../src/config/source/file-watch.ts'
import { markOf, type FileMark } from '../../../../src/config/load/files-read.ts'
import type { Logger } from '../../../../src/core/logger.ts'
import { makeScratch, type Scratch } from '../../../helpers/scratch.ts'

/** How often files are looked at while directories cannot be watched, and afterwards. */

type OnError = (error: Error) => void

/** What the watchers that were opened do with an error of the system, the latest last. */
const onError: OnError[] = []
vi.mock('node:fs', async original => ({
  ...(await original<object>()),
  watch: () =>
    ({
      on: (_: string, listener: OnError) => void onError.push(listener),
      close: () => {},
    }) as unknown as FSWatcher,
}))

const logged: string[] = []
const log = (text: string): void => void logged.push(text)
const LOGGER: Logger = { debug: log, info: log, warn: log, error: log, child: () => LOGGER }

let scratch: Scratch
let watch: FileWatch
let marks: FileMark[]

beforeEach(async () => {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'],
  })
  logged.length = 0
  onError.length = 0
  scratch = makeScratch()
  marks = [await markOf(scratch.write('servers.json', {}), 'file')]
  watch = new FileWatch(() => {}, LOGGER)
  await watch.follow(marks)
})
afterEach(async () => {
  vi.useRealTimers()
  await watch.close()
  await scratch[Symbol.asyncDispose]()
})

/** The latest watcher fails. */
const fail = (): void => onError.at(-1)?.(new Error('EPERM'))

/** Time passes, and what is due by then has been done. */
async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms)
  await watch.follow(marks)
}

test('a watcher that failed once is opened again, and files are soon looked at as rarely as before', async () => {
  const { length } = onError
  const intervals = vi.spyOn(globalThis, 'setInterval')
  const everyMs = (): unknown => intervals.mock.lastCall?.[1]
  fail()
  expect(everyMs()).toBe(5000)
  await pass(300)
  expect(onError).toHaveLength(length + 1)
  await pass(5000)
  expect(everyMs()).toBe(30_000)
  expect(logged).toEqual([])
})

test('a directory whose watcher goes on to fail is looked at every 5 s, which is logged, and so is its end', async () => {
  const intervals = vi.spyOn(globalThis, 'setInterval')
  const everyMs = (): unknown => intervals.mock.lastCall?.[1]
  for (let at = 0; at < 4; at++) {
    fail()
    await pass(4000)
  }
  expect(everyMs()).toBe(5000)
  expect(logged).toEqual([expect.stringContaining('cannot all be watched; they are looked at every 5 s')])
  await pass(10_000)
  expect(everyMs()).toBe(30_000)
  expect(logged.at(-1)).toBe('The files of the configuration are all watched again.')
})
