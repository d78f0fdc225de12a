import { beforeEach, describe, expect, it } from 'vitest'
import { outliers } from '../../../../src/upstream/balance/outliers.ts'
import { candidate, Clock, eject, type Named } from './world.ts'

let clock: Clock

beforeEach(() => {
  clock = new Clock()
})

/** One of `latencies` for each, as the average of twenty calls. */
function measured(...latencies: number[]): Named[] {
  return latencies.map((ms, index) => {
    const one = candidate('abcdef'[index] as string, clock)
    answer(one, ms, 20)
    return one
  })
}

function answer({ load }: Named, ms: number, times: number): void {
  for (let time = 0; time < times; time++) {
    load.began()
    load.ended(ms, clock.now)
  }
}

const found = (candidates: readonly Named[]): string[] =>
  outliers(candidates, { slowBy: 10, now: clock.now }).map(({ name }) => name)

describe('an outlier', () => {
  it('is ten times slower than the others, and 100 ms', () => {
    expect(found(measured(20, 30, 251))).toEqual(['c'])
    expect(found(measured(20, 30, 249))).toEqual([])
    expect(found(measured(2, 2, 90))).toEqual([])
  })

  it('is held against the median, so that another outlier does not hide it', () => {
    expect(found(measured(20, 20, 20, 500, 5000))).toEqual(['d', 'e'])
  })

  it('of two is held against the other one', () => {
    expect(found(measured(1000, 20))).toEqual(['a'])
    expect(found(measured(1000))).toEqual([])
  })

  it('is not one by a few samples, nor by one slow call', () => {
    const all = [...measured(20, 20), candidate('c', clock)]
    const [a, , c] = all as [Named, Named, Named]
    answer(c, 1000, 9)
    expect(found(all)).toEqual([])
    answer(c, 1000, 1)
    expect(found(all)).toEqual(['c'])
    answer(a, 30_000, 1)
    expect(found(all)).toEqual([])
  })

  it('is named once for what it did', () => {
    const all = measured(20, 20, 1000)
    expect(found(all)).toEqual(['c'])
    expect(found(all)).toEqual([])
    answer(all[2] as Named, 1000, 10)
    expect(found(all)).toEqual(['c'])
  })

  it('is none of those that are out already, and these are no measure', () => {
    const all = measured(1000, 20, 20)
    eject(all[0] as Named, clock)
    expect(found(all)).toEqual([])
    const others = measured(20, 20, 1000)
    ;(others[0] as Named).health.unreachable('refused', clock.now)
    eject(others[1] as Named, clock)
    expect(found(others)).toEqual([])
  })
})
