import { expect, test } from 'vitest'
import { editDistance } from '../../../src/core/edit-distance.ts'

/** By the whole table. */
function known(a: string, b: string): number {
  const table = Array.from({ length: a.length + 1 }, (_, i) =>
    Array.from({ length: b.length + 1 }, (_, j) => (i === 0 ? j : j === 0 ? i : 0)),
  )
  const at = (i: number, j: number): number => table[i]?.[j] as number
  for (let i = 1; i <= a.length; i++)
    for (let j = 1; j <= b.length; j++) {
      const row = table[i] as number[]
      row[j] = Math.min(
        at(i - 1, j) + 1,
        at(i, j - 1) + 1,
        at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1),
      )
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        row[j] = Math.min(row[j] as number, at(i - 2, j - 2) + 1)
    }
  return at(a.length, b.length)
}

test('the distance of two texts is the same with a limit, which only leaves out what exceeds it', () => {
  let state = 7
  const random = (below: number): number => (state = (state * 48_271) % 2_147_483_647) % below
  const text = (): string => Array.from({ length: random(9) }, () => 'abc'[random(3)]).join('')
  for (let round = 0; round < 5000; round++) {
    const [a, b] = [text(), text()]
    const distance = known(a, b)
    for (const limit of [0, 1, 2, 4, Infinity])
      expect([a, b, limit, editDistance(a, b, limit)]).toEqual([
        a,
        b,
        limit,
        distance > limit ? Infinity : distance,
      ])
  }
})
