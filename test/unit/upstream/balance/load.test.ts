import { describe, expect, it } from 'vitest'
import { Load } from '../../../../src/upstream/balance/load.ts'

/** A load with calls of `ms` each, one after the other. */
function after(...samples: number[]): { load: Load; now: number } {
  const load = new Load()
  let now = 1000
  for (const ms of samples) {
    load.began()
    now += ms
    load.ended(ms, now)
  }
  return { load, now }
}

describe('calls in flight', () => {
  it('are those that began and have not ended, however they end', () => {
    const load = new Load()
    load.began()
    load.began()
    expect(load.inFlight).toBe(2)
    load.ended(5, 10)
    load.ended(undefined, 11)
    expect(load.inFlight).toBe(0)
  })
})

describe('latency', () => {
  it('is not known before the first answer, nor by a failure', () => {
    const load = new Load()
    load.began()
    load.ended(undefined, 10)
    expect([load.latencyMs, load.averageMs, load.samples, load.latencyAt(1000)]).toEqual([0, 0, 0, 0])
  })

  it('rises at once, and sinks in the course of time', () => {
    const { load, now } = after(10, 10, 10, 40)
    expect(load.latencyMs).toBe(40)
    load.began()
    load.ended(10, now + 10_000)
    expect(load.latencyMs).toBeCloseTo(10 + 30 / Math.E, 5)
  })

  it('sinks little with many fast calls at once', () => {
    const { load, now } = after(10, 10, 10, 40)
    for (let call = 0; call < 20; call++) {
      load.began()
      load.ended(10, now + call)
    }
    expect(load.latencyMs).toBeGreaterThan(39)
  })

  it('is forgotten where nothing is measured any more', () => {
    const { load, now } = after(100)
    expect(load.latencyAt(now)).toBe(100)
    expect(load.latencyAt(now + 10_000)).toBeCloseTo(100 / Math.E, 5)
    expect(load.latencyAt(now + 60_000)).toBeLessThan(1)
    // A clock that is behind, since a call was handed an older moment, changes nothing.
    expect(load.latencyAt(now - 5000)).toBe(100)
  })

  it('of one slow call of a slow tool is believed only in part', () => {
    const { load } = after(...Array.from({ length: 16 }, () => 10), 30_000)
    expect(load.averageMs).toBeLessThan(20)
    expect(load.latencyMs).toBeGreaterThan(40)
    expect(load.latencyMs).toBeLessThan(80)
  })
})

describe('the average', () => {
  it('is the geometric mean at first, then follows', () => {
    expect(after(10, 1000).load.averageMs).toBeCloseTo(100, 5)
    const { load } = after(...Array.from({ length: 16 }, () => 10), ...Array.from({ length: 60 }, () => 1000))
    expect(load.averageMs).toBeGreaterThan(850)
    expect(load.averageMs).toBeLessThan(1000)
  })

  it('starts anew', () => {
    const { load, now } = after(1000, 1000)
    load.startAverage()
    expect([load.samples, load.averageMs]).toEqual([0, 0])
    load.began()
    load.ended(10, now)
    expect(load.averageMs).toBeCloseTo(10, 5)
  })
})
