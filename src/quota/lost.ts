import type { Clock } from '../core/clock.ts'
import { lifeOf } from '../state/store.ts'
import type { Window } from './lease-options.ts'
import { Uncounted, type StoreAvailability } from './store-availability.ts'

/**
 * Why nothing may be taken of an amount whose count the store has lost. `undefined`: everything that still counts is
 * known. `until`: end of the window.
 */
export function uncounted(
  { lost }: StoreAvailability,
  window: Window,
  until: number,
  clock: Clock,
): Uncounted | undefined {
  if (!lost) return undefined
  if (window.kind === 'sliding')
    // An amount taken just before may be used later, and counts from then.
    return refusal(lost.steady + window.ms + 2 * lifeOf(window.ms) - clock.steady())
  const end = window.endOf(lost.wall)
  return until > end ? undefined : refusal(end - clock.wall())
}

/** The same for concurrency limits, where every claim is renewed or has expired after `claimMs`. */
export function unclaimed({ lost }: StoreAvailability, claimMs: number, clock: Clock): Uncounted | undefined {
  return lost && refusal(lost.steady + claimMs - clock.steady())
}

function refusal(ms: number): Uncounted | undefined {
  return ms > 0 ? new Uncounted(ms) : undefined
}
