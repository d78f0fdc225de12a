import { expect, test } from 'vitest'
import { TokenBucket } from '../../../src/core/token-bucket.ts'

const taken = (bucket: TokenBucket, now: number): number => {
  let count = 0
  while (count < 1000 && bucket.tryTake(now)) count++
  return count
}

test('a bucket gives its burst at first, and then so many a second up to its burst', () => {
  const bucket = new TokenBucket({ burst: 5, perSecond: 2 })
  expect([0, 400, 500, 1500, 60_000].map(now => taken(bucket, now))).toEqual([5, 0, 1, 2, 5])
})

test('a clock that goes backwards fills nothing twice', () => {
  const bucket = new TokenBucket({ burst: 1, perSecond: 1 })
  expect([1000, 0, 1000, 1999, 2000].map(now => taken(bucket, now))).toEqual([1, 0, 0, 0, 1])
})

test('an empty bucket gives nothing', () => {
  expect(taken(new TokenBucket({ burst: 0, perSecond: 0 }), 1000)).toBe(0)
})

test('an emptied bucket says how long it takes until the next one', () => {
  const bucket = new TokenBucket({ burst: 1, perSecond: 0.5 })
  expect(bucket.waitMs()).toBe(0)
  expect([bucket.tryTake(0), bucket.waitMs(), bucket.tryTake(500), bucket.waitMs()]).toEqual([
    true,
    2000,
    false,
    1500,
  ])
})
