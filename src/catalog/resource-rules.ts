import type { Decision, Route } from '../core/route.ts'
import type { Steps } from '../core/slices.ts'
import type { Item } from '../policy/decide.ts'
import type { Policy } from '../policy/policy.ts'
import type { Merged } from './merge.ts'
import { unlistedItem, type Spellings } from './spellings.ts'
import { needsCheck } from './visibility.ts'

/** What rules say of resources that clients name: by their URI, and by the definition where their server lists them. */
export class ResourceRules {
  readonly #policy: Policy
  /** Only where a condition asks what definitions say. */
  readonly #spellings: Spellings | undefined

  private constructor(policy: Policy, spellings: Spellings | undefined) {
    this.#policy = policy
    this.#spellings = spellings
  }

  /** Makes them, with pauses. */
  static *making(merged: Merged, policy: Policy): Steps<ResourceRules> {
    return new ResourceRules(policy, policy.asksTool ? yield* merged.spellings() : undefined)
  }

  decide(route: Route): Decision {
    return this.#policy.decideAny(this.#itemsOf(route))
  }

  /** The route with what is decided at each call; `undefined` where the resource is denied. */
  seen(route: Route): Route | undefined {
    const items = this.#itemsOf(route)
    const decision = this.#policy.decideAny(items)
    if (decision.verdict === 'deny') return undefined
    return needsCheck(decision) ? { ...route, check: this.#policy.aboutAny(items) } : route
  }

  #itemsOf({ server, own }: Route): readonly Item[] {
    return this.#spellings?.items(server, own) ?? [unlistedItem(server, own)]
  }
}
