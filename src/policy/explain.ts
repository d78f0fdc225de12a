import type { Decision } from '../core/route.ts'
import { textsOf } from '../core/uri-readings.ts'
import { applies, decide, isAbout, readAs, type Rule, type RuleSet, type Subject } from './decide.ts'

/** The contribution of one rule. */
export interface ExplainStep {
  readonly location: string
  readonly effect: 'allow' | 'deny'
  readonly shadow: boolean
  /** The pattern that matched, `undefined` for none; `*` for a rule about everything. */
  readonly matched: string | undefined
  readonly patterns: readonly string[]
  readonly condition: string | undefined
  /** Result of the condition: `unknown` without arguments, `failed` with the reason. */
  readonly value: boolean | 'unknown' | 'failed' | undefined
  readonly failure: string | undefined
  /** Whether this rule decided. */
  readonly decides: boolean
}

/** The decision about a subject and the contribution of each rule, in the order of the configuration. */
export function explain(
  rules: readonly Rule[],
  set: RuleSet,
  subject: Subject,
): { readonly decision: Decision; readonly steps: readonly ExplainStep[] } {
  const decision = decide(set, subject)
  const decider = decision.verdict === 'depends' ? undefined : (decision.shadowed ?? decision.rule)
  const steps = rules.map(rule => stepOf(rule, subject, decider))
  return { decision, steps }
}

function stepOf(rule: Rule, subject: Subject, decider: string | undefined): ExplainStep {
  const { item } = subject
  const { location, effect, shadow, patterns, condition } = rule
  const texts = item.kind === 'resource' ? textsOf(item.name) : [item.name]
  const read = texts.map(name => readAs(item, name)).find(one => isAbout(rule, one))
  const matched =
    read &&
    (patterns.length === 0
      ? '*'
      : patterns.find(pattern => isAbout({ ...rule, patterns: [pattern] }, read))?.text)
  let value: ExplainStep['value']
  let failure: string | undefined
  if (read && condition) {
    if (condition.perCall && !subject.call) value = 'unknown'
    else {
      const applied = applies(rule, { ...subject, item: read }, (_, reason) => (failure = reason))
      value = applied === 'failed' ? 'failed' : applied === 'yes'
    }
  }
  return {
    location,
    effect,
    shadow,
    matched,
    patterns: patterns.map(({ text }) => text),
    condition: condition?.text,
    value,
    failure,
    decides: location === decider,
  }
}
