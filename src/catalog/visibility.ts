import { LIST_KINDS, type Decision, type ListKind } from '../core/route.ts'
import { Stride, type Steps } from '../core/slices.ts'
import type { Policy } from '../policy/policy.ts'
import type { EndpointCatalog } from './endpoint-catalog.ts'

/** What becomes of an entry: not there, there, or there and decided with each call. */
export const HIDDEN = 0
export const SEEN = 1
export const CHECKED = 2

/** By list and the place in it. */
export type States = Readonly<Record<ListKind, Uint8Array>>

/** What a policy lets be seen of the lists of an endpoint, with pauses. */
export function* judged({ lists }: EndpointCatalog, policy: Policy): Steps<States> {
  const stride = new Stride()
  const states: Partial<Record<ListKind, Uint8Array>> = {}
  for (const kind of LIST_KINDS) {
    const list = lists[kind]
    const decide = policy.decideMany()
    const those = new Uint8Array(list.length)
    for (const [at, entry] of list.entries()) {
      // What servers may make of a long URI is long to find out.
      if (stride.isOver(entry.name.length)) yield
      const decision = decide(entry)
      those[at] = decision.verdict === 'deny' ? HIDDEN : needsCheck(decision) ? CHECKED : SEEN
    }
    states[kind] = those
  }
  return states as States
}

/** What depends on a call, and what a rule in shadow mode wants to hear of. */
export function needsCheck({ verdict, shadowed }: Decision): boolean {
  return verdict === 'depends' || shadowed !== undefined
}
