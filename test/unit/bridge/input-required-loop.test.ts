import { expect, onTestFinished, test, vi } from 'vitest'
import { inputRequiredLoop, type InputRequiredLoopOptions } from '../../../src/bridge/input-required-loop.ts'
import { Cancellation } from '../../../src/core/cancellation.ts'
import type { Exchange, Outcome } from '../../../src/core/exchange.ts'
import type { Route } from '../../../src/core/route.ts'

test('a call that is cancelled between two rounds does not wait for the next one', async () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const value = { resultType: 'input_required', requestState: 'x' }
  const outcome = { kind: 'result', modern: true, value, text: JSON.stringify(value) } as unknown as Outcome
  const cancellation = new Cancellation()
  const exchange = { modern: false, cancellation } as unknown as Exchange
  const options = { serverOf: () => ({}), maxRounds: 3 } as unknown as InputRequiredLoopOptions
  let rounds = 0
  const next = async (): Promise<Outcome> => {
    rounds++
    return outcome
  }
  const call = inputRequiredLoop(options)(next)(exchange, { server: 'a' } as Route)
  const refused = expect(call).rejects.toMatchObject({ code: 'cancelled' })
  await vi.advanceTimersByTimeAsync(1)
  cancellation.cancel('the client left')
  // No time passes.
  await refused
  expect(rounds).toBe(1)
})
