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

/** The rules shared by all principals to which the same rules apply. */
export class Policy {
  /** Identifies the rules: equal for equal policies, and sufficient to rebuild them. */
  readonly key: string
  readonly rules: RuleSet
  /** Whether nothing is ever denied, not even in shadow mode. */
  readonly unrestricted: boolean
  /** Whether a condition reads definitions. */
  readonly asksTool: boolean
  readonly #principal: Principal
  readonly #onFailure: OnFailure

  /**
   * `principal` is one of the principals of the policy. When a condition reads the principal, each principal has its
   * own policy.
   */
  constructor(key: string, rules: RuleSet, principal: Principal, onFailure: OnFailure) {
    this.key = key
    this.rules = rules
    this.unrestricted = rules.default === 'allow' && rules.denies.length === 0
    this.asksTool = [...rules.denies, ...rules.allows].some(({ condition }) => condition?.asksTool)
    this.#principal = principal
    this.#onFailure = onFailure
  }

  /** Decides about a thing, or about a call of it when `args` are given. */
  decide(item: Item, args?: JsonObject): Decision {
    const call = args && asked(args, asksTime(this.rules))
    return decide(this.rules, { item, principal: this.#principal, call }, this.#onFailure)
  }

  /** Prepares decisions about calls of one thing: rules that do not apply to it are filtered out once. */
  about(item: Item): CallCheck {
    const rules = about(this.rules, item)
    const timed = asksTime(rules)
    const principal = this.#principal
    return {
      reads: joined([...rules.denies, ...rules.allows].map(({ condition }) => condition?.reads)),
      decide: args => decide(rules, { item, principal, call: asked(args, timed) }, this.#onFailure),
    }
  }

  /** Decides about a thing that may be any of these: the strictest decision. */
  decideAny(items: readonly Item[]): Decision {
    return items.map(item => this.decide(item)).reduce(stricter)
  }

  /** As `about`, for a thing that may be any of these. */
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

  /** Decides about many things, preferably ordered by server: rules about other servers are filtered out. */
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

  /**
   * Whether a server may have a thing of this kind that is not denied, whatever conditions return: for servers that are
   * not listed yet.
   */
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
   * Whether a server may have visible resources that it does not list. Rules about all of its names are tested with a
   * name that no resource has; other rules allow at least some name.
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

  /** The rules that may apply to a server. Not cached: together, all policies would hold more than all rules. */
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
