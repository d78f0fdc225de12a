import type { JsonObject } from '../core/exchange.ts'
import type { Principal } from '../core/principal.ts'
import type { Decision, ItemKind } from '../core/route.ts'
import { readingsOf, textsOf } from '../core/uri-readings.ts'
import { conditionProblemOf, type Condition } from './condition.ts'
import { matches, type Pattern } from './pattern.ts'

/** A tool, prompt or resource of a server, to which rules apply. */
export interface Item {
  readonly kind: ItemKind
  readonly server: string
  /** The server's own name; the URI of a resource, the text of a template. */
  readonly name: string
  /** From the definition; empty for things that are not listed. */
  readonly title: string
  readonly annotations: JsonObject
  /** Whether `name` is one of the readings of a URI. */
  readonly isReading?: boolean
  /** Whether the definition is unknown: conditions that read it fail. */
  readonly isUnknown?: boolean | undefined
}

export interface Rule {
  /** Location in the configuration. */
  readonly location: string
  readonly effect: 'allow' | 'deny'
  /** Empty: the rule applies to everything. */
  readonly patterns: readonly Pattern[]
  readonly condition: Condition | undefined
  /** Whether a denial is only logged. */
  readonly shadow: boolean
}

/** All rules that apply to one caller. */
export interface RuleSet {
  /** In the order of the configuration. */
  readonly denies: readonly Rule[]
  readonly allows: readonly Rule[]
  readonly default: 'allow' | 'deny'
  /** Whether denials are only logged. */
  readonly shadow: boolean
}

/** The subject of a decision: a call, or, without `call`, a thing regardless of its use. */
export interface Subject {
  readonly item: Item
  readonly principal: Principal
  readonly call?: Asked | undefined
}

/** A call. `now` is unused by rules that do not read the time. */
export interface Asked {
  readonly args: JsonObject
  readonly now: Date
}

const SOME_TIME = new Date(0)

/** A call at this moment; `timed`: whether any rule `asksTime`. */
export function asked(args: JsonObject, timed: boolean): Asked {
  return { args, now: timed ? new Date() : SOME_TIME }
}

export function asksTime({ denies, allows }: RuleSet): boolean {
  const asks = ({ condition }: Rule): boolean => condition?.asksTime === true
  return denies.some(asks) || allows.some(asks)
}

/** Called for conditions that could not be evaluated. */
export type OnFailure = (rule: Rule, reason: string) => void

/** `unknown`: the condition reads a call, and there is none. `failed`: it could not be evaluated. */
export type Applies = 'yes' | 'no' | 'unknown' | 'failed'

/** An allow rule must match the URI as written; a deny rule applies to every reading of it. */
export function isAbout({ effect, patterns }: Rule, { kind, server, name, isReading }: Item): boolean {
  const loosely = isReading === true || effect === 'deny'
  return patterns.length === 0 || patterns.some(pattern => matches(pattern, kind, server, name, loosely))
}

/** A resource under one reading of its URI. */
export function readAs(item: Item, name: string): Item {
  if (name === item.name) return item
  // Properties of an item may be getters, which a spread would omit.
  const { kind, server, isUnknown } = item
  const reading = { kind, server, name, title: '', annotations: {}, isUnknown, isReading: true }
  return isUnknown === true ? reading : { ...reading, title: item.title, annotations: item.annotations }
}

/** The subset of the rules that apply to a thing; their decision about it equals that of all rules. */
export function about(rules: RuleSet, item: Item): RuleSet {
  const texts = item.kind === 'resource' ? textsOf(item.name) : [item.name]
  const [, another] = texts
  const those = (list: readonly Rule[]): Rule[] =>
    list
      .filter(rule => texts.some(name => isAbout(rule, readAs(item, name))))
      // A rule about one reading of a URI may not apply to another, so its patterns stay.
      .map(rule => (another === undefined ? { ...rule, patterns: [] } : rule))
  return { ...rules, denies: those(rules.denies), allows: those(rules.allows) }
}

/** Whether a rule applies to a thing and its condition holds. */
export function applies(rule: Rule, subject: Subject, onFailure?: OnFailure): Applies {
  const { item, call } = subject
  const { condition } = rule
  if (!isAbout(rule, item)) return 'no'
  if (!condition) return 'yes'
  if (condition.perCall && !call) return 'unknown'
  try {
    return condition.holds(factsOf(subject)) ? 'yes' : 'no'
  } catch (error) {
    onFailure?.(rule, conditionProblemOf(error))
    return 'failed'
  }
}

/**
 * The only decision function, for lists and calls alike: a deny rule wins, then an allow rule, then the default. A
 * condition that fails denies: its deny rule applies, its allow rule does not. A resource is denied when any reading of
 * its URI is denied, and allowed when all readings are allowed.
 */
export function decide(rules: RuleSet, subject: Subject, onFailure?: OnFailure): Decision {
  const { item } = subject
  const readings = item.kind === 'resource' ? readingsOf(item.name) : undefined
  let decision = decideOne(rules, subject, onFailure)
  if (!readings) return decision
  // Not all readings are known.
  if (readings.endless) return denied(rules, 'default', undefined)
  const read = (set: RuleSet, name: string): void => {
    if (decision.verdict === 'deny') return
    decision = stricter(decision, decideOne(set, { ...subject, item: readAs(item, name) }, onFailure))
  }
  for (const name of readings.same) if (name !== item.name) read(rules, name)
  // A shortened reading only has to be free of denials.
  const denying: RuleSet = { ...rules, allows: [], default: 'allow' }
  for (const name of readings.less) read(denying, name)
  return decision
}

const STRICTNESS: Readonly<Record<Decision['verdict'], number>> = { allow: 0, depends: 1, deny: 2 }

/** The more restrictive of two decisions. */
export function stricter(one: Decision, other: Decision): Decision {
  const { verdict, rule } = STRICTNESS[other.verdict] > STRICTNESS[one.verdict] ? other : one
  const shadowed = one.shadowed ?? other.shadowed
  return { verdict, rule, shadowed }
}

function decideOne(rules: RuleSet, subject: Subject, onFailure?: OnFailure): Decision {
  let shadowed: string | undefined
  let mayDeny = false
  for (const rule of rules.denies) {
    // Only the first rule in shadow mode is reported.
    if (rule.shadow && shadowed !== undefined) continue
    const applied = applies(rule, subject, onFailure)
    if (applied === 'no') continue
    if (applied === 'unknown') mayDeny = true
    else if (rule.shadow) shadowed = rule.location
    else return denied(rules, rule.location, shadowed)
  }
  let allowed = rules.default === 'allow' ? 'default' : undefined
  let mayAllow = false
  for (const rule of rules.allows) {
    const applied = applies(rule, subject, onFailure)
    if (applied === 'unknown') mayAllow = true
    if (applied !== 'yes') continue
    allowed = rule.location
    break
  }
  if (allowed === undefined && !mayAllow) return denied(rules, 'default', shadowed)
  if (mayDeny || allowed === undefined) return { verdict: 'depends', rule: allowed ?? 'default', shadowed }
  return { verdict: 'allow', rule: allowed, shadowed }
}

function denied({ shadow }: RuleSet, rule: string, shadowed: string | undefined): Decision {
  return shadow ? { verdict: 'allow', rule: 'shadow', shadowed: rule } : { verdict: 'deny', rule, shadowed }
}

/** These facts are equal for all calls of a thing. */
const toolFacts = new WeakMap<Item, Facts['tool']>()
const principalFacts = new WeakMap<Principal, Facts['principal']>()

type Facts = Parameters<Condition['holds']>[0]

/** A property that only the definition could provide; reading it throws. */
const UNKNOWN: PropertyDescriptor = {
  enumerable: true,
  get() {
    throw new Error('the definition is not known, since the lists of the server are not known in full')
  },
}

function factsOf({ item, principal, call }: Subject): Facts {
  let tool = toolFacts.get(item)
  if (!tool) {
    const { kind, server, name, title, annotations } = item
    tool = { server, name, kind, title, annotations }
    if (item.isUnknown === true) Object.defineProperties(tool, { title: UNKNOWN, annotations: UNKNOWN })
    toolFacts.set(item, tool)
  }
  let facts = principalFacts.get(principal)
  if (!facts) {
    const { id, name, client, roles } = principal
    principalFacts.set(principal, (facts = { id, name, client: client ?? '', roles: [...roles] }))
  }
  return { args: call?.args ?? {}, tool, principal: facts, now: call?.now ?? SOME_TIME }
}
