import { expect, test } from 'vitest'
import { isDue } from '../../../src/front/http/http-reply.ts'

test('signs of life and idle limits come after their time, and never when they are off', () => {
  expect(isDue(1000, 1999, 1000)).toBe(false)
  expect(isDue(1000, 2000, 1000)).toBe(true)
  expect(isDue(0, Number.MAX_SAFE_INTEGER, 0)).toBe(false)
})
