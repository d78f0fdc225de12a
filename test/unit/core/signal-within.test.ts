import { getEventListeners } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { signalWithin } from '../../../src/core/signal-within.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

test('ends in time, whatever is collected meanwhile', async () => {
  const stop = new AbortController()
  const heard: unknown[] = []
  ;(() => {
    const signal = signalWithin(stop.signal, 100)
    signal.addEventListener('abort', () => heard.push((signal.reason as Error).name))
  })()
  for (let round = 0; round < 10; round++) {
    collectGarbage()
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  expect(heard).toEqual(['TimeoutError'])
})

test('ends with the other one, with its reason, also when that has ended before', () => {
  const stop = new AbortController()
  const signal = signalWithin(stop.signal, 60_000)
  expect(signal.aborted).toBe(false)
  const reason = new Error('enough')
  stop.abort(reason)
  expect(signal.reason).toBe(reason)
  expect(signalWithin(stop.signal, 60_000).reason).toBe(reason)
})

test('leaves no listener at the other one, however many there are', () => {
  const stop = new AbortController()
  const signals = Array.from({ length: 50 }, () => signalWithin(stop.signal, 60_000))
  expect(getEventListeners(stop.signal, 'abort')).toEqual([])
  stop.abort()
  expect(signals.every(({ aborted }) => aborted)).toBe(true)
})
