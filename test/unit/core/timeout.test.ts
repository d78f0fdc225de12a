import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Cancellation } from '../../../src/core/cancellation.ts'
import { pause, within, withTimeout } from '../../../src/core/timeout.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => {
  // What is over leaves no timer behind.
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
})

const never = (): Promise<never> => new Promise(() => undefined)

test('work in time is what counts, and its failure too', async () => {
  expect(await withTimeout(Promise.resolve(1), 1000, () => 2)).toBe(1)
  await expect(withTimeout(Promise.reject(new Error('no')), 1000, () => 2)).rejects.toThrow('no')
})

test('work that is late is replaced by what is said then, or by its error', async () => {
  const late = withTimeout(never(), 1000, () => 'late')
  await vi.advanceTimersByTimeAsync(1000)
  expect(await late).toBe('late')
  const failing = withTimeout(never(), 1000, () => {
    throw new Error('too late')
  })
  const told = expect(failing).rejects.toThrow('too late')
  await vi.advanceTimersByTimeAsync(1000)
  await told
})

test('work that fails after its time is no unhandled rejection', async () => {
  let fail = (): void => undefined
  const work = new Promise<never>((_, reject) => (fail = () => reject(new Error('never awaited'))))
  const late = withTimeout(work, 1000, () => 'late')
  await vi.advanceTimersByTimeAsync(1000)
  fail()
  expect(await late).toBe('late')
})

test('whether a wait was in time, whatever has come of it', async () => {
  expect(await within(Promise.reject(new Error('no')), 1000)).toBe(true)
  const late = within(never(), 1000)
  await vi.advanceTimersByTimeAsync(1000)
  expect(await late).toBe(false)
})

test('a pause lasts its time', async () => {
  let over = false
  void pause(1000, new Cancellation()).then(() => (over = true))
  await vi.advanceTimersByTimeAsync(999)
  expect(over).toBe(false)
  await vi.advanceTimersByTimeAsync(1)
  expect(over).toBe(true)
})

test('a pause of a cancelled call ends at once, and one that has not begun is none', async () => {
  const cancellation = new Cancellation()
  const paused = pause(1000, cancellation)
  cancellation.cancel('the client left')
  await paused
  await pause(1000, cancellation)
})
