import { afterEach, expect, test, vi } from 'vitest'
import { Deadlines } from '../../../src/core/deadlines.ts'
import { Pending } from '../../../src/upstream/pending.ts'

afterEach(() => vi.restoreAllMocks())

test('progress extends a call to twelve times its time limit, and no further', () => {
  const now = vi.spyOn(performance, 'now').mockReturnValue(5000)
  const nothing = (): void => undefined
  const pending = new Pending(
    { expire: nothing },
    1,
    'tools/call',
    1000,
    undefined,
    nothing,
    nothing,
    undefined,
  )
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
