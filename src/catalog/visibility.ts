import { ITEM_KINDS, LIST_KINDS, type Decision, type ListKind, type Route } from '../core/route.ts'
import { Stride, type Steps } from '../core/slices.ts'
import type { Policy } from '../policy/policy.ts'
import type { EndpointCatalog } from './endpoint-catalog.ts'

/** State of an entry: hidden, visible, or visible with a check at each call. */
export const HIDDEN = 0
export const SEEN = 1
const CHECKED = 2

/** States by list and index. */
export type States = Readonly<Record<ListKind, Uint8Array>>

/** Evaluates a policy for all entries of an endpoint, with pauses. */
export function* judged(merged: EndpointCatalog, policy: Policy): Steps<States> {
  const { lists } = merged
  const stride = new Stride()
  const states: Partial<Record<ListKind, Uint8Array>> = {}
  for (const kind of LIST_KINDS) {
    const list = lists[kind]
    const decide = policy.decideMany()
    const those = new Uint8Array(list.length)
    for (const [at, entry] of list.entries()) {
      // The time to evaluate a long URI grows with its length.
      if (stride.isOver(entry.name.length)) yield
      if (entry.route.isLogin === true) {
        those[at] = mayUseSome(merged, policy, entry.server) ? SEEN : HIDDEN
        continue
      }
      const decision = decide(entry)
      those[at] = decision.verdict === 'deny' ? HIDDEN : needsCheck(decision) ? CHECKED : SEEN
    }
    states[kind] = those
  }
  return states as States
}

/** Whether a client may use anything of a server: only then does it see the tool that logs in there. */
function mayUseSome(merged: EndpointCatalog, policy: Policy, server: string): boolean {
  return ITEM_KINDS.some(kind => merged.selectsSome(kind, server) && policy.maySee(server, kind))
}

/**
 * Whether the rules have to be checked at each call: the decision depends on the call, or a rule in shadow mode reports
 * calls.
 */
export function needsCheck({ verdict, shadowed }: Decision): boolean {
  return verdict === 'depends' || shadowed !== undefined
}

/**
 * Whether a client may use a tool of a server whatever its arguments: for its tasks, whose arguments are not kept.
 * `route` is the way to the tool where the client sees it. A tool that the server does not list now is decided by its
 * name, and a condition that reads its definition fails.
 */
export function isPermitted(
  merged: EndpointCatalog,
  policy: Policy | undefined,
  route: Route | undefined,
  server: string,
  own: string,
): boolean {
  // A condition on the arguments was decided when the task was made.
  if (route) {
    const { check } = route
    return !check || check.reads !== undefined || check.decide({}).verdict === 'allow'
  }
  if (merged.bareTools(own).some(at => merged.lists.tools[at]?.server === server)) return false
  const unlisted = { kind: 'tool', server, name: own, title: '', annotations: {}, isUnknown: true } as const
  return merged.selects('tool', server, own) && policy?.decide(unlisted).verdict !== 'deny'
}
