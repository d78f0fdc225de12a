import { describe, expect, test } from 'vitest'
import { Series, type MetricDescription } from '../../../../src/observe/metrics/series.ts'

const CALLS: MetricDescription = {
  name: 'calls',
  help: 'Calls.',
  kind: 'counter',
  labels: [
    { name: 'client', open: true },
    { name: 'result', open: false },
  ],
}
const SECONDS: MetricDescription = {
  name: 'seconds',
  help: 'Durations.',
  kind: 'histogram',
  buckets: [0.1, 1, 10],
  labels: [{ name: 'server', open: true }],
}

describe('series', () => {
  test('add up by their labels, in whichever order they come', () => {
    const calls = new Series(CALLS, 100)
    for (const [client, result] of [
      ['ada', 'ok'],
      ['bob', 'ok'],
      ['ada', 'failed'],
      ['ada', 'ok'],
    ] as const)
      calls.add(calls.at(client, result))
    calls.add(calls.at('bob', 'ok'), 5)
    expect(calls.read()).toEqual([
      { labels: { client: 'ada', result: 'ok' }, value: 2 },
      { labels: { client: 'bob', result: 'ok' }, value: 6 },
      { labels: { client: 'ada', result: 'failed' }, value: 1 },
    ])
  })

  test('keep labels apart that are alike when joined', () => {
    const calls = new Series(CALLS, 100)
    const places = [
      calls.at('a', 'b1:c'),
      calls.at('a1:b', 'c'),
      calls.at('', 'ab'),
      calls.at('ab', ''),
      calls.at('a:', 'b'),
    ]
    expect(new Set(places).size).toBe(places.length)
  })

  test('beyond the bound, names from outside become "other", and results stay what they are', () => {
    const calls = new Series(CALLS, 3)
    for (let client = 0; client < 1000; client++) {
      calls.add(calls.at(`client-${client}`, 'ok'))
      calls.add(calls.at(`client-${client}`, 'failed'))
    }
    const read = calls.read()
    expect(read).toHaveLength(5)
    expect(read).toContainEqual({ labels: { client: 'other', result: 'ok' }, value: 998 })
    expect(read).toContainEqual({ labels: { client: 'other', result: 'failed' }, value: 999 })
    expect(read.reduce((sum, { value }) => sum + value, 0)).toBe(2000)
    expect(calls.folded).toBe(1997)
  })

  test('a place stays valid while other series are added', () => {
    const calls = new Series(CALLS, 2000)
    const first = calls.at('first', 'ok')
    for (let client = 0; client < 1500; client++) calls.add(calls.at(`client-${client}`, 'ok'))
    calls.add(first, 3)
    expect(calls.read()[0]).toEqual({ labels: { client: 'first', result: 'ok' }, value: 3 })
  })

  test('long names are cut', () => {
    const calls = new Series(CALLS, 10)
    calls.add(calls.at('x'.repeat(100_000), 'ok'))
    expect(calls.read()[0]?.labels['client']).toHaveLength(128)
  })

  test('buckets of a histogram are cumulative, and a bound belongs to its bucket', () => {
    const seconds = new Series(SECONDS, 10)
    const place = seconds.at('a')
    for (const value of [0.05, 0.1, 0.5, 5, 50]) seconds.observe(place, value)
    const [reading] = seconds.read()
    expect(reading?.buckets).toEqual([2, 3, 4, 5])
    expect(reading?.value).toBeCloseTo(55.65)
  })

  test('the latest example of each bucket is kept', () => {
    const seconds = new Series(SECONDS, 10)
    const place = seconds.at('a')
    for (const value of [0.05, 0.07, 50]) {
      seconds.observe(place, value)
      seconds.exemplify(place, { traceId: `trace-${value}`, value, time: 1 })
    }
    expect([...(seconds.read()[0]?.exemplars ?? [])].map(([bucket, { value }]) => [bucket, value])).toEqual([
      [0, 0.07],
      [3, 50],
    ])
  })
})
