import { GatewayError } from '../core/errors.ts'
import { sizeOf, type Exchange, type Outcome } from '../core/exchange.ts'
import type { Charge } from '../quota/admission-gate.ts'

/**
 * Budgets are charged for what a server worked on, and for what it may have worked on; what certainly never reached it is free. `dispatch` calls `settle` or
 * `giveUp`, once, for every call whose charge it has entered at `since` (`performance.now()`).
 */

export function settle(charge: Charge, { record }: Exchange, outcome: Outcome, since: number): void {
  const until = record.endedAt || performance.now()
  charge.settle(until - since, charge.countsBytes ? sizeOf(outcome, record) : 0, until)
}

export function giveUp(charge: Charge, error: unknown, since: number): void {
  if (error instanceof GatewayError && error.delivery === 'not_sent') return charge.giveBack(since)
  const until = performance.now()
  charge.settle(until - since, 0, until)
}
