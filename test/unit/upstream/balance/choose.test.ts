import { beforeEach, describe, expect, it } from 'vitest'
import { choose, type ChooseOptions } from '../../../../src/upstream/balance/choose.ts'
import { rng } from '../../../helpers/rng.ts'
import { candidate, Clock, eject, type Named } from './world.ts'

let clock: Clock
let random: () => number

beforeEach(() => {
  clock = new Clock()
  random = rng(7)
})

/** Part of 10 000 choices that each one gets, in percent; those without any are not in it. */
function shares(
  candidates: readonly Named[],
  options: Partial<ChooseOptions<Named>> = {},
): Record<string, number> {
  const counts: Record<string, number> = {}
  const given = { now: clock.now, random, zone: undefined, panic: 0.5, ...options }
  for (let call = 0; call < 10_000; call++) {
    const { name } = choose(candidates, given) ?? { name: 'nobody' }
    counts[name] = (counts[name] ?? 0) + 1
  }
  return Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, Math.round(count / 100)]))
}

const names = (candidates: readonly Named[], options: Partial<ChooseOptions<Named>> = {}): string[] =>
  Object.keys(shares(candidates, options)).sort()

const of = (name: string, given: Parameters<typeof candidate>[2] = {}): Named => candidate(name, clock, given)

describe('a single replica', () => {
  it('is taken, ejected or not', () => {
    const a = of('a')
    expect(names([a])).toEqual(['a'])
    eject(a, clock)
    expect(names([a])).toEqual(['a'])
  })

  it('is not taken where it cannot be reached, was tried, or has no weight', () => {
    const a = of('a')
    expect(names([a], { leftOut: () => true })).toEqual(['nobody'])
    a.health.unreachable('refused', clock.now)
    expect(names([a])).toEqual(['nobody'])
    expect(names([of('b', { weight: 0 })])).toEqual(['nobody'])
    expect(names([])).toEqual(['nobody'])
  })
})

describe('weights', () => {
  it('are kept', () => {
    const all = [
      of('a', { weight: 5 }),
      of('b', { weight: 3 }),
      of('c', { weight: 2 }),
      of('d', { weight: 0 }),
    ]
    const { a, b, c, ...others } = shares(all)
    expect(others).toEqual({})
    for (const [share, wanted] of [
      [a, 50],
      [b, 30],
      [c, 20],
    ] as const) {
      expect(Math.abs((share as number) - wanted)).toBeLessThan(2)
    }
  })

  it('are no matter to what is left out', () => {
    const all = [of('a'), of('b'), of('c')]
    expect(names(all, { leftOut: ({ name }) => name === 'b' })).toEqual(['a', 'c'])
  })
})

describe('load', () => {
  it('decides where one of the two has clearly more in flight', () => {
    const [a, b] = [of('a'), of('b')]
    a.load.began()
    expect(names([a, b])).toEqual(['b'])
    b.load.began()
    b.load.began()
    // Three to two is chance.
    expect(names([a, b])).toEqual(['a', 'b'])
  })

  it('is measured by the weight', () => {
    const [a, b] = [of('a', { weight: 3 }), of('b')]
    for (let call = 0; call < 3; call++) a.load.began()
    b.load.began()
    expect(shares([a, b])['a']).toBeGreaterThan(70)
  })

  it('counts latency where it differs by more than chance', () => {
    const [a, b] = [of('a'), of('b')]
    const answered = (one: Named, ms: number): void => {
      one.load.began()
      one.load.ended(ms, clock.now)
    }
    answered(a, 10)
    answered(b, 25)
    expect(names([a, b])).toEqual(['a', 'b'])
    answered(b, 60)
    expect(names([a, b])).toEqual(['a'])
    // Forgotten after a while, so that it is tried again.
    clock.now += 60_000
    expect(names([a, b])).toEqual(['a', 'b'])
  })

  it('of a newcomer is what it has in flight, not a latency of nought', () => {
    const [a, b] = [of('a'), of('b')]
    a.load.began()
    a.load.ended(5000, clock.now)
    expect(Math.abs((shares([a, b])['b'] as number) - 50)).toBeLessThan(3)
    b.load.began()
    expect(names([a, b])).toEqual(['a'])
  })
})

describe('priorities', () => {
  it('come one after the other', () => {
    const all = [of('c', { priority: 2 }), of('a'), of('b', { priority: 1 })]
    const [c, a, b] = all as [Named, Named, Named]
    expect(names(all)).toEqual(['a'])
    a.health.unreachable('refused', clock.now)
    expect(names(all)).toEqual(['b'])
    b.health.unreachable('refused', clock.now)
    expect(names(all)).toEqual(['c'])
    c.health.unreachable('refused', clock.now)
    expect(names(all)).toEqual(['nobody'])
  })

  it('with nothing but ejected ones give way to one that is better off', () => {
    const all = [of('a'), of('b', { priority: 1 })]
    const [a, b] = all as [Named, Named]
    eject(a, clock)
    expect(names(all)).toEqual(['b'])
    eject(b, clock)
    expect(names(all)).toEqual(['a'])
    expect(names(all, { leftOut: ({ name }) => name === 'a' })).toEqual(['b'])
  })

  it('without weight are none', () => {
    expect(names([of('a', { weight: 0 }), of('b', { priority: 1 })])).toEqual(['b'])
  })
})

describe('ejected ones', () => {
  it('get nothing while they are few', () => {
    const all = [of('a'), of('b'), of('c'), of('d')]
    eject(all[0] as Named, clock)
    eject(all[1] as Named, clock)
    expect(names(all)).toEqual(['c', 'd'])
  })

  it('count as good as the others when they are many, those that cannot be reached do not', () => {
    const all = [of('a'), of('b'), of('c'), of('d')]
    for (const one of all.slice(0, 3)) eject(one, clock)
    expect(names(all)).toEqual(['a', 'b', 'c', 'd'])
    ;(all[0] as Named).health.unreachable('refused', clock.now)
    expect(names(all)).toEqual(['b', 'c', 'd'])
    expect(names(all, { panic: 1 })).toEqual(['d'])
  })

  it('are not many only because others were tried for this call', () => {
    const all = [of('a'), of('b'), of('c'), of('d')]
    eject(all[0] as Named, clock)
    eject(all[1] as Named, clock)
    expect(names(all, { leftOut: ({ name }) => name === 'c' })).toEqual(['d'])
    // The last resort.
    expect(names(all, { leftOut: ({ name }) => name === 'c' || name === 'd' })).toEqual(['a', 'b'])
  })
})

describe('the own zone', () => {
  it('is preferred while one of it can be used', () => {
    const all = [
      of('a', { zone: 'here' }),
      of('b', { zone: 'there' }),
      of('c'),
      of('d', { zone: 'here', priority: 1 }),
    ]
    expect(names(all)).toEqual(['a', 'b', 'c'])
    expect(names(all, { zone: 'here' })).toEqual(['a'])
    expect(names(all, { zone: 'elsewhere' })).toEqual(['a', 'b', 'c'])
    eject(all[0] as Named, clock)
    expect(names(all, { zone: 'here' })).toEqual(['b', 'c'])
  })
})

it('more candidates than there was room for are chosen from as well', () => {
  const all = Array.from({ length: 100 }, (_, index) => of(`${index}`))
  expect(names(all)).toHaveLength(100)
})

it('random numbers at their edges choose something', () => {
  const all = [of('a', { weight: 0.1 }), of('b', { weight: 0.2 }), of('c', { weight: 0.7 })]
  for (const edge of [0, 1 - 2 ** -53, 1]) {
    expect(choose(all, { now: clock.now, random: () => edge, zone: undefined, panic: 0.5 })).toBeDefined()
  }
})
