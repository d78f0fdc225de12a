import { GatewayError } from '../core/errors.ts'
import type { Exchange, Outcome } from '../core/exchange.ts'
import type { Charge } from '../quota/admission-gate.ts'

/**
 * Budgets are charged for what a server worked on, and for what it may have worked on; what certainly never reached it is free. `dispatch` calls `settle` or
 * `giveUp`, once, for every call whose charge it has entered at `since` (`performance.now()`).
 */

export function settle(charge: Charge, { trace }: Exchange, outcome: Outcome, since: number): void {
  const until = trace.endedAt > since ? trace.endedAt : performance.now()
  charge.settle(until - since, charge.countsBytes ? trace.sizeOf(outcome) : 0, until)
}

export function giveUp(charge: Charge, error: unknown, since: number): void {
  if (error instanceof GatewayError && error.delivery === 'not_sent') return charge.giveBack(since)
  const until = performance.now()
  charge.settle(until - since, 0, until)
}
