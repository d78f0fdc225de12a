import { describe, expect, it } from 'vitest'
import { BackOff } from '../../../../src/upstream/balance/back-off.ts'

const MINUTE = 60_000
const full = (): BackOff => new BackOff({ firstMs: 500, mostMs: 60_000, random: () => 1 })

describe('back-off', () => {
  it('is doubled up to its bound', () => {
    const backOff = full()
    const delays = Array.from({ length: 9 }, () => backOff.next(0))
    expect(delays).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000])
  })

  it('is up to half less, by the random numbers handed in', () => {
    const none = new BackOff({ firstMs: 500, mostMs: 60_000, random: () => 0 })
    expect([none.next(0), none.next(0)]).toEqual([250, 500])
    const some = new BackOff({ firstMs: 500, mostMs: 60_000, random: () => 0.5 })
    expect([some.next(0), some.next(0)]).toEqual([375, 750])
  })

  it('goes on where it happens again soon after a return, and starts anew later', () => {
    const backOff = full()
    expect([backOff.next(0), backOff.next(0)]).toEqual([500, 1000])
    backOff.back(0)
    expect(backOff.next(5 * MINUTE - 1)).toBe(2000)
    backOff.back(6 * MINUTE)
    expect(backOff.next(11 * MINUTE)).toBe(500)
  })

  it('is not forgotten without a return', () => {
    const backOff = full()
    backOff.next(0)
    expect(backOff.next(60 * MINUTE)).toBe(1000)
  })
})
