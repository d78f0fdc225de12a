import { afterEach, expect, test, vi } from 'vitest'
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
  expect(pending.extension).toBe(1000)
  now.mockReturnValue(5000 + 11_900)
  expect(pending.extension).toBe(100)
  now.mockReturnValue(5000 + 12_001)
  expect(pending.extension).toBeUndefined()
})
