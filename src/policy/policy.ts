import type { JsonObject } from '../core/exchange.ts'
import type { Principal } from '../core/principal.ts'
import type { Decision, ItemKind } from '../core/route.ts'
import { decide, type Item, type OnFailure, type Rule, type RuleSet } from './decide.ts'

/** The rules of everyone to whom the same ones apply. */
export class Policy {
  /** Says which rules these are: equal for equal policies, and enough to find them again. */
  readonly key: string
  readonly rules: RuleSet
  /** Nothing is ever denied, nor would be. */
  readonly unrestricted: boolean
  readonly #principal: Principal
  readonly #onFailure: OnFailure
  readonly #servers = new Map<string, RuleSet>()

  /** `principal` is one of those the policy is for; conditions that ask who is calling have policies of single principals. */
  constructor(key: string, rules: RuleSet, principal: Principal, onFailure: OnFailure) {
    this.key = key
    this.rules = rules
    this.unrestricted = rules.default === 'allow' && rules.denies.length === 0
    this.#principal = principal
    this.#onFailure = onFailure
  }

  /** What becomes of a thing, or of a call of it where `args` are given. */
  decide(item: Item, args?: JsonObject): Decision {
    const call = args && { args, now: new Date() }
    return decide(this.#of(item.server), { item, principal: this.#principal, call }, this.#onFailure)
  }

  /** Whether there can be anything of a kind at a server that is not denied, for things that nobody has listed yet. */
  maySee(server: string, kind: ItemKind): boolean {
    const { denies, allows, default: otherwise, shadow } = this.#of(server)
    const ofKind = (rule: Rule): boolean =>
      rule.patterns.length === 0 ||
      rule.patterns.some(({ kind: only }) => only === undefined || only === kind)
    const ofAll = (rule: Rule): boolean =>
      rule.patterns.length === 0 ||
      rule.patterns.some(({ kind: only, anyName }) => anyName && (only === undefined || only === kind))
    if (shadow) return true
    if (denies.some(rule => !rule.shadow && !rule.condition && ofAll(rule))) return false
    return otherwise === 'allow' || allows.some(ofKind)
  }

  /** Those that can be about a server. */
  #of(server: string): RuleSet {
    let rules = this.#servers.get(server)
    if (!rules) {
      const about = (list: readonly Rule[]): Rule[] =>
        list.flatMap(rule => {
          if (rule.patterns.length === 0) return rule
          const patterns = rule.patterns.filter(pattern => pattern.server(server))
          if (patterns.length === rule.patterns.length) return rule
          return patterns.length === 0 ? [] : { ...rule, patterns }
        })
      rules = { ...this.rules, denies: about(this.rules.denies), allows: about(this.rules.allows) }
      this.#servers.set(server, rules)
    }
    return rules
  }
}
