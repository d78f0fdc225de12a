import { expect, test } from 'vitest'
import { backoffMs, jittered } from '../../../src/core/backoff.ts'

const RANGE = { firstMs: 250, mostMs: 5000 }

test('a pause doubles up to its bound, and stays there however often it is doubled', () => {
  const pauses = [0, 1, 2, 4, 5, 1000, Infinity].map(times => backoffMs(times, RANGE))
  expect(pauses).toEqual([250, 500, 1000, 4000, 5000, 5000, 5000])
  expect(backoffMs(5000, { firstMs: 0, mostMs: 5000 })).toBe(0)
})

test('jitter takes away half of a pause at most', () => {
  expect([0, 0.5, 1].map(random => jittered(1000, random))).toEqual([500, 750, 1000])
})
