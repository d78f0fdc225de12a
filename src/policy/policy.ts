import type { JsonObject } from '../core/exchange.ts'
import type { Principal } from '../core/principal.ts'
import type { CallCheck, Decision, ItemKind } from '../core/route.ts'
import {
  about,
  asked,
  asksTime,
  decide,
  stricter,
  type Item,
  type OnFailure,
  type Rule,
  type RuleSet,
} from './decide.ts'
import { joined } from './reads.ts'

/** The rules of all principals to which the same ones apply. */
export class Policy {
  /** Says which rules these are: equal for equal policies, and enough to find them again. */
  readonly key: string
  readonly rules: RuleSet
  /** Nothing is ever denied, nor would be. */
  readonly unrestricted: boolean
  /** A condition asks what the definitions of things say. */
  readonly asksTool: boolean
  readonly #principal: Principal
  readonly #onFailure: OnFailure

  /** `principal` is one of those the policy is for; where a condition reads the principal, each principal has a policy of its own. */
  constructor(key: string, rules: RuleSet, principal: Principal, onFailure: OnFailure) {
    this.key = key
    this.rules = rules
    this.unrestricted = rules.default === 'allow' && rules.denies.length === 0
    this.asksTool = [...rules.denies, ...rules.allows].some(({ condition }) => condition?.asksTool)
    this.#principal = principal
    this.#onFailure = onFailure
  }

  /** What becomes of a thing, or of a call of it where `args` are given. */
  decide(item: Item, args?: JsonObject): Decision {
    const call = args && asked(args, asksTime(this.rules))
    return decide(this.rules, { item, principal: this.#principal, call }, this.#onFailure)
  }

  /** Decides calls of one thing, again and again: rules that are not about it are left aside once. */
  about(item: Item): CallCheck {
    const rules = about(this.rules, item)
    const timed = asksTime(rules)
    const principal = this.#principal
    return {
      reads: joined([...rules.denies, ...rules.allows].map(({ condition }) => condition?.reads)),
      decide: args => decide(rules, { item, principal, call: asked(args, timed) }, this.#onFailure),
    }
  }

  /** What becomes of a thing that is one of these: what all of them are allowed. */
  decideAny(items: readonly Item[]): Decision {
    return items.map(item => this.decide(item)).reduce(stricter)
  }

  /** As `about`, of a thing that is one of these. */
  aboutAny(items: readonly Item[]): CallCheck {
    const checks = items.map(item => this.about(item))
    const [only, ...others] = checks
    if (only && others.length === 0) return only
    const { denies, allows } = this.rules
    return {
      reads: joined([...denies, ...allows].map(({ condition }) => condition?.reads)),
      decide: args => checks.map(check => check.decide(args)).reduce(stricter),
    }
  }

  /** Decides about many things, best in the order of their servers: rules that are about other servers are left aside. */
  decideMany(): (item: Item) => Decision {
    let server: string | undefined
    let rules = this.rules
    return item => {
      if (item.server !== server) {
        server = item.server
        rules = this.#of(server)
      }
      return decide(rules, { item, principal: this.#principal }, this.#onFailure)
    }
  }

  /** Whether there can be anything of a kind at a server that is not denied, whatever conditions say: for servers that have not been listed yet. */
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

  /**
   * Whether a server may have resources to see that it does not list. Rules about all its names are asked with a name that no resource has; others allow some
   * name or other.
   */
  maySeeUnlisted(server: string): boolean {
    if (!this.maySee(server, 'resource')) return false
    const unnamed: Item = { kind: 'resource', server, name: '', title: '', annotations: {} }
    if (this.decide(unnamed).verdict !== 'deny') return true
    return this.rules.allows.some(({ patterns }) =>
      patterns.some(
        pattern => !pattern.anyName && (pattern.kind ?? 'resource') === 'resource' && pattern.server(server),
      ),
    )
  }

  /** Those that can be about a server. Not kept: all policies together would hold more than all rules. */
  #of(server: string): RuleSet {
    const ofServer = (list: readonly Rule[]): Rule[] =>
      list.flatMap(rule => {
        if (rule.patterns.length === 0) return rule
        const patterns = rule.patterns.filter(pattern => pattern.server(server))
        if (patterns.length === rule.patterns.length) return rule
        return patterns.length === 0 ? [] : { ...rule, patterns }
      })
    return { ...this.rules, denies: ofServer(this.rules.denies), allows: ofServer(this.rules.allows) }
  }
}
