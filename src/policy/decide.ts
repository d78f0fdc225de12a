import type { JsonObject } from '../core/exchange.ts'
import type { Principal } from '../core/principal.ts'
import type { Decision, ItemKind } from '../core/route.ts'
import { readingsOf, textsOf } from '../core/uri-readings.ts'
import { failureOf, type Condition } from './condition.ts'
import { matches, type Pattern } from './pattern.ts'

/** A thing of a server that rules are about. */
export interface Item {
  readonly kind: ItemKind
  readonly server: string
  /** As the server knows it; of a resource the URI, of a template its text. */
  readonly name: string
  /** What its definition says; `''` and empty for what is not listed. */
  readonly title: string
  readonly annotations: JsonObject
  /** `name` is what a server may make of a URI. */
  readonly isReading?: boolean
  /** The definition is not known: a condition that needs it fails. */
  readonly isUnknown?: boolean | undefined
}

export interface Rule {
  /** Where it stands in the configuration. */
  readonly location: string
  readonly effect: 'allow' | 'deny'
  /** Empty: it is about everything. */
  readonly patterns: readonly Pattern[]
  readonly condition: Condition | undefined
  /** It is only said what it would deny. */
  readonly shadow: boolean
}

/** Everything that decides for one caller. */
export interface RuleSet {
  /** In the order of the configuration. */
  readonly denies: readonly Rule[]
  readonly allows: readonly Rule[]
  readonly default: 'allow' | 'deny'
  /** Nothing is denied, it is only said what would be. */
  readonly shadow: boolean
}

/** What a decision is about: a call, or, without `call`, a thing whatever is done with it. */
export interface Subject {
  readonly item: Item
  readonly principal: Principal
  readonly call?: Asked | undefined
}

/** A call. `now` means nothing to rules that do not ask for the time. */
export interface Asked {
  readonly args: JsonObject
  readonly now: Date
}

const SOME_TIME = new Date(0)

/** A call at this moment; `timed`: whether a rule `asksTime`. */
export function asked(args: JsonObject, timed: boolean): Asked {
  return { args, now: timed ? new Date() : SOME_TIME }
}

export function asksTime({ denies, allows }: RuleSet): boolean {
  const asks = ({ condition }: Rule): boolean => condition?.asksTime === true
  return denies.some(asks) || allows.some(asks)
}

/** Hears of conditions that could not be evaluated. */
export type OnFailure = (rule: Rule, reason: string) => void

/** `unknown`: its condition asks about a call, and there is none. `failed`: it could not be evaluated. */
export type Applies = 'yes' | 'no' | 'unknown' | 'failed'

/** What allows has to be written as the URI is; what denies is about everything that it may mean. */
export function isAbout({ effect, patterns }: Rule, { kind, server, name, isReading }: Item): boolean {
  const loosely = isReading === true || effect === 'deny'
  return patterns.length === 0 || patterns.some(pattern => matches(pattern, kind, server, name, loosely))
}

/** A resource, as a server may read its URI. */
export function readAs(item: Item, name: string): Item {
  if (name === item.name) return item
  // Members of an item may be getters, which a spread would leave out.
  const { kind, server, isUnknown } = item
  const reading = { kind, server, name, title: '', annotations: {}, isUnknown, isReading: true }
  return isUnknown === true ? reading : { ...reading, title: item.title, annotations: item.annotations }
}

/** Those of the rules that are about a thing; they decide about it as all of them do. */
export function about(rules: RuleSet, item: Item): RuleSet {
  const texts = item.kind === 'resource' ? textsOf(item.name) : [item.name]
  const [, another] = texts
  const those = (list: readonly Rule[]): Rule[] =>
    list
      .filter(rule => texts.some(name => isAbout(rule, readAs(item, name))))
      // A rule about one reading of a URI need not be about another.
      .map(rule => (another === undefined ? { ...rule, patterns: [] } : rule))
  return { ...rules, denies: those(rules.denies), allows: those(rules.allows) }
}

/** Whether a rule is about a thing, and its condition holds. */
export function applies(rule: Rule, subject: Subject, onFailure?: OnFailure): Applies {
  const { item, call } = subject
  const { condition } = rule
  if (!isAbout(rule, item)) return 'no'
  if (!condition) return 'yes'
  if (condition.perCall && !call) return 'unknown'
  try {
    return condition.holds(factsOf(subject)) ? 'yes' : 'no'
  } catch (error) {
    onFailure?.(rule, failureOf(error))
    return 'failed'
  }
}

/**
 * The one decision, for lists and calls alike: a rule that denies wins, then one that allows, then the default. A condition that fails denies: a rule that denies
 * then does, one that allows does not. A resource is denied where any reading of its URI is, and allowed where all of them are.
 */
export function decide(rules: RuleSet, subject: Subject, onFailure?: OnFailure): Decision {
  const { item } = subject
  const readings = item.kind === 'resource' ? readingsOf(item.name) : undefined
  let decision = decideOne(rules, subject, onFailure)
  if (!readings) return decision
  // What it may mean is not known in full.
  if (readings.endless) return denied(rules, 'default', undefined)
  const read = (set: RuleSet, name: string): void => {
    if (decision.verdict === 'deny') return
    decision = stricter(decision, decideOne(set, { ...subject, item: readAs(item, name) }, onFailure))
  }
  for (const name of readings.same) if (name !== item.name) read(rules, name)
  // Less than the URI says is nothing that has to be allowed.
  const denying: RuleSet = { ...rules, allows: [], default: 'allow' }
  for (const name of readings.less) read(denying, name)
  return decision
}

const STRICTNESS: Readonly<Record<Decision['verdict'], number>> = { allow: 0, depends: 1, deny: 2 }

/** That of two decisions which lets less be done. */
export function stricter(one: Decision, other: Decision): Decision {
  const { verdict, rule } = STRICTNESS[other.verdict] > STRICTNESS[one.verdict] ? other : one
  const shadowed = one.shadowed ?? other.shadowed
  return { verdict, rule, shadowed }
}

function decideOne(rules: RuleSet, subject: Subject, onFailure?: OnFailure): Decision {
  let shadowed: string | undefined
  let mayDeny = false
  for (const rule of rules.denies) {
    // The first one in shadow mode is enough to know.
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

/** The same for every call of a thing. */
const toolFacts = new WeakMap<Item, Facts['tool']>()
const principalFacts = new WeakMap<Principal, Facts['principal']>()

type Facts = Parameters<Condition['holds']>[0]

/** Of a fact that only a definition could tell. */
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
