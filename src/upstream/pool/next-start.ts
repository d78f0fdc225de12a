import type { LinkSlot } from './link-slot.ts'

/** When one of these starts without a call, by `monotonicNow`. `undefined`: only a call starts them. */
export function startsAt(slots: Iterable<LinkSlot>): number | undefined {
  return earliest([...slots].map(slot => slot.startsAt))
}

/** Time before which starts of all of these fail at once, by `monotonicNow`. `undefined`: one can be tried now. */
export function notBefore(slots: Iterable<LinkSlot>): number | undefined {
  const tries = [...slots].map(slot => slot.nextTry)
  return tries.includes(undefined) ? undefined : earliest(tries)
}

function earliest(moments: readonly (number | undefined)[]): number | undefined {
  const known = moments.filter(moment => moment !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}
