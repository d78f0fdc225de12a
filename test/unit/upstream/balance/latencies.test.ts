import { expect, test } from 'vitest'
import { Latencies } from '../../../../src/upstream/balance/latencies.ts'

/** Adds `from`, `from + 1`, … `to`, the larger ones first. */
function add(latencies: Latencies, from: number, to: number): void {
  for (let ms = to; ms >= from; ms--) latencies.add(ms)
}

test('nothing is known of fewer than twenty calls', () => {
  const latencies = new Latencies()
  add(latencies, 1, 19)
  expect(latencies.p95).toBeUndefined()
  latencies.add(20)
  expect(latencies.p95).toBe(19)
})

test('it is computed anew after 64 more', () => {
  const latencies = new Latencies()
  add(latencies, 1, 20)
  expect(latencies.p95).toBe(19)
  for (let call = 0; call < 63; call++) latencies.add(1000)
  expect(latencies.p95).toBe(19)
  latencies.add(1000)
  expect(latencies.p95).toBe(1000)
})

test('only the last 256 count, and two of them do not meet', () => {
  const latencies = new Latencies()
  const others = new Latencies()
  add(latencies, 10_000, 11_000)
  expect(latencies.p95).toBeGreaterThan(10_000)
  add(others, 1, 100)
  expect(others.p95).toBe(95)
  add(latencies, 1, 256)
  expect(latencies.p95).toBe(244)
  expect(others.p95).toBe(95)
})
