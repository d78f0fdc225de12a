import { describe, expect, it } from 'vitest'
import { RetryBudget } from '../../../../src/upstream/balance/retry-budget.ts'
import { rng } from '../../../helpers/rng.ts'

/** How many repeats are had at one moment. */
function take(budget: RetryBudget, now: number): number {
  let taken = 0
  while (taken < 10_000 && budget.tryRepeat(now)) taken++
  return taken
}

describe('a budget of repeats', () => {
  it('allows ten a second in any case', () => {
    const budget = new RetryBudget(0.2)
    expect(take(budget, 0)).toBe(10)
    expect(take(budget, 50)).toBe(0)
    expect(take(budget, 100)).toBe(1)
    expect(take(budget, 60_000)).toBe(10)
    // A clock that goes backwards gives nothing.
    expect(take(budget, 30_000)).toBe(0)
    expect(take(budget, 60_100)).toBe(1)
  })

  it.each([0.05, 0.1, 0.2, 0.3, 1])('allows a share of %d of the calls, exactly', share => {
    const budget = new RetryBudget(share, 0)
    let repeats = 0
    for (let call = 1; call <= 6000; call++) {
      budget.called()
      repeats += take(budget, call)
      if (repeats !== Math.floor(call * share + 1e-9)) expect.fail(`${repeats} repeats of ${call} calls`)
    }
  })

  it('keeps no more than a hundred for later', () => {
    const budget = new RetryBudget(0.2, 0)
    for (let call = 0; call < 100_000; call++) budget.called()
    expect(take(budget, 0)).toBe(100)
  })

  it('allows nothing when it is nought', () => {
    const budget = new RetryBudget(0, 0)
    for (let call = 0; call < 1000; call++) budget.called()
    expect(take(budget, 1000)).toBe(0)
  })

  it('is never exceeded, whatever the order of calls and repeats', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = rng(seed)
      const budget = new RetryBudget(0.2)
      let now = random() * 1e6
      const began = now
      let calls = 0
      let repeats = 0
      for (let step = 0; step < 5000; step++) {
        now += random() * (random() < 0.01 ? 5000 : 20)
        if (random() < 0.5) {
          budget.called()
          calls++
        } else if (budget.tryRepeat(now)) {
          repeats++
        }
        if (repeats > 0.2 * calls + 10 * ((now - began) / 1000 + 1) + 1e-6)
          expect.fail(`seed ${seed}, step ${step}: ${repeats}`)
      }
      expect(repeats).toBeGreaterThan(0.2 * calls)
    }
  })
})
