import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { SILENT, type Logger } from '../../../../../src/core/logger.ts'
import {
  LOOK_EVERY_MS,
  measureHere,
  MemoryWatch,
  readableBytes,
  sumOfPs,
  type MemoryReader,
} from '../../../../../src/upstream/transport/stdio/memory-watch.ts'

const hundred = (): number => 100

describe('the watch', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => {
    expect(vi.getTimerCount()).toBe(0)
    vi.useRealTimers()
  })

  /** Measures what it is told: roughly and exactly, by group. */
  function measuring(
    rough: Record<number, number>,
    exact = rough,
  ): { measure: MemoryReader; asked: string[] } {
    const asked: string[] = []
    const measure: MemoryReader = (groups, exactly) => {
      asked.push(`${exactly ? 'exactly' : 'roughly'} ${[...groups].join(' ')}`)
      const all = Object.entries(exactly ? exact : rough).map(
        ([group, bytes]) => [Number(group), bytes] as const,
      )
      return Promise.resolve(new Map(all.filter(([group]) => groups.has(group))))
    }
    return { measure, asked }
  }

  it('looks at all processes on one timer, every five seconds, while there is one', async () => {
    const { measure, asked } = measuring({ 1: 10, 2: 10 })
    const watch = new MemoryWatch(measure)
    watch.watch(1, hundred, SILENT, () => {})
    watch.watch(2, hundred, SILENT, () => {})
    expect(vi.getTimerCount()).toBe(1)
    await vi.advanceTimersByTimeAsync(2 * LOOK_EVERY_MS)
    watch.release(1)
    await vi.advanceTimersByTimeAsync(LOOK_EVERY_MS)
    watch.release(2)
    expect(vi.getTimerCount()).toBe(0)
    await vi.advanceTimersByTimeAsync(5 * LOOK_EVERY_MS)
    expect(asked).toEqual(['roughly 1 2', 'roughly 1 2', 'roughly 2'])
  })

  it('looks closely at those that seem to be above, and reports those that are', async () => {
    const { measure, asked } = measuring({ 1: 150, 2: 150, 3: 100 }, { 1: 120, 2: 90, 3: 100 })
    const watch = new MemoryWatch(measure)
    const above: string[] = []
    for (const group of [1, 2, 3])
      watch.watch(group, hundred, SILENT, bytes => void above.push(`${group}: ${bytes}`))
    await vi.advanceTimersByTimeAsync(2 * LOOK_EVERY_MS)
    expect(above).toEqual(['1: 120', '1: 120'])
    expect(asked.slice(0, 2)).toEqual(['roughly 1 2 3', 'exactly 1 2'])
    for (const group of [1, 2, 3]) watch.release(group)
  })

  it('does not report what was released while it was being measured', async () => {
    const { measure } = measuring({ 1: 150 })
    const watch = new MemoryWatch(measure)
    watch.watch(1, hundred, SILENT, () => expect.unreachable())
    vi.advanceTimersByTime(LOOK_EVERY_MS)
    watch.release(1)
    await vi.advanceTimersByTimeAsync(0)
  })

  it('says once where nothing can be measured, and goes on where a measurement fails', async () => {
    const said: string[] = []
    const logger: Logger = { ...SILENT, debug: message => void said.push(message) }
    const blind = new MemoryWatch(undefined)
    blind.watch(1, hundred, logger, () => {})
    blind.watch(2, hundred, logger, () => {})
    expect(said).toEqual(['"memoryLimit" has no effect on this system.'])
    let measured = 0
    const failing = new MemoryWatch(() => {
      measured++
      return Promise.reject(new Error('no ps'))
    })
    failing.watch(1, hundred, logger, () => {})
    await vi.advanceTimersByTimeAsync(2 * LOOK_EVERY_MS)
    failing.release(1)
    expect(measured).toBe(2)
  })
})

describe.runIf(process.platform !== 'win32')('a measurement', () => {
  it.each([false, true])('is that of a whole process group (exactly: %s)', async exactly => {
    const measure = measureHere() as MemoryReader
    // A shell that leads a group and holds next to nothing, with a child that holds 64 MiB.
    const hold =
      'const held = Buffer.alloc(64 * 2 ** 20, 1); console.log(held.length); setInterval(() => held, 1000)'
    const shell = spawn('/bin/sh', ['-c', '"$0" -e "$1"; true', process.execPath, hold], {
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const group = shell.pid as number
    try {
      await once(shell.stdout, 'data')
      const used = (await measure(new Set([group]), exactly)).get(group) ?? 0
      expect(used).toBeGreaterThan(64 * 2 ** 20)
      expect(used).toBeLessThan(300 * 2 ** 20)
    } finally {
      process.kill(-group, 'SIGKILL')
      // The shell may be gone before its child. A process gives its memory back before it closes its output.
      await once(shell, 'close')
    }
    expect((await measure(new Set([group]), exactly)).get(group) ?? 0).toBeLessThan(2 ** 20)
  })

  it('of what ps lists is the sum of each group', () => {
    const listed = '    1   100\n 4711  2048\n 4711     0\n 4712     7\n\n'
    expect(sumOfPs(listed, new Set([4711, 5]))).toEqual(new Map([[4711, 2048 * 1024]]))
  })

  it('is shown with its unit', () => {
    expect(readableBytes(160 * 2 ** 20)).toBe('160.0 MiB')
    expect(readableBytes(4.25 * 2 ** 30)).toBe('4.3 GiB')
  })
})
