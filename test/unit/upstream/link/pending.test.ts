import { afterEach, expect, test, vi } from 'vitest'
import { Deadlines } from '../../../../src/core/deadlines.ts'
import { Pauses } from '../../../../src/core/pauses.ts'
import { Pending } from '../../../../src/upstream/link/pending.ts'

afterEach(() => vi.restoreAllMocks())

/** A call whose time limit is a second. */
function waiting(): Pending {
  const nothing = (): void => undefined
  return new Pending({ expire: nothing }, 1, 'tools/call', 1000, undefined, nothing, nothing, undefined)
}

test('progress extends a call to twelve times its time limit, and no further', () => {
  const now = vi.spyOn(performance, 'now').mockReturnValue(5000)
  const pending = waiting()
  const deadlines = new Deadlines()
  deadlines.set(pending, 1000)
  expect(pending.progressed()).toBe(1000)
  expect(pending.fullyExtended).toBe(false)
  now.mockReturnValue(5000 + 11_900)
  expect(pending.progressed()).toBe(100)
  now.mockReturnValue(5000 + 12_001)
  expect(pending.progressed()).toBeUndefined()
  expect(pending.fullyExtended).toBe(true)
  deadlines.close()
})

test('the time in which its stream is not read extends a call once, and to twelve times its time limit at most', () => {
  const now = vi.spyOn(performance, 'now').mockReturnValue(5000)
  const pending = waiting()
  const deadlines = new Deadlines()
  const pauses = new Pauses()
  const transport = { unreadMs: (_id: number, moment: number) => pauses.after(moment) }
  // Before the call, and therefore not its time.
  pauses.begin()
  now.mockReturnValue(6000)
  pauses.end()
  deadlines.set(pending, 1000)
  now.mockReturnValue(6400)
  pauses.begin()
  now.mockReturnValue(6700)
  pauses.end()
  now.mockReturnValue(7000)
  expect(pending.unreadMs(transport)).toBe(300)
  deadlines.set(pending, 300)
  now.mockReturnValue(7300)
  expect(pending.unreadMs(transport)).toBe(0)
  pauses.begin()
  now.mockReturnValue(17_900)
  expect(pending.unreadMs(transport)).toBe(100)
  now.mockReturnValue(18_100)
  expect(pending.unreadMs(transport)).toBe(0)
  deadlines.close()
})
