import type { Decision, Route } from '../core/route.ts'
import type { Steps } from '../core/slices.ts'
import type { Policy } from '../policy/policy.ts'
import type { EndpointCatalog } from './endpoint-catalog.ts'
import { indexing, resourceItems } from './meanings.ts'
import { needsCheck } from './visibility.ts'

/** Applies the rules to resources that clients name: by URI, and by definition where the server lists them. */
export class ResourceRules {
  readonly #policy: Policy
  readonly #merged: EndpointCatalog

  private constructor(merged: EndpointCatalog, policy: Policy) {
    this.#merged = merged
    this.#policy = policy
  }

  /** Creates the rules, with pauses. */
  static *making(merged: EndpointCatalog, policy: Policy): Steps<ResourceRules> {
    if (policy.asksTool) yield* indexing(merged.members)
    return new ResourceRules(merged, policy)
  }

  decide(route: Route): Decision {
    return this.#policy.decideAny(resourceItems(this.#merged, this.#policy, route))
  }

  /** The route, marked if rules are checked at each call. `undefined`: the resource is denied. */
  seen(route: Route): Route | undefined {
    const items = resourceItems(this.#merged, this.#policy, route)
    const decision = this.#policy.decideAny(items)
    if (decision.verdict === 'deny') return undefined
    return needsCheck(decision) ? { ...route, check: this.#policy.aboutAny(items) } : route
  }
}
