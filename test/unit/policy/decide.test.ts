import { describe, expect, it } from 'vitest'
import { ANONYMOUS } from '../../../src/core/principal.ts'
import { ITEM_KINDS, type Decision } from '../../../src/core/route.ts'
import type { Condition } from '../../../src/policy/condition.ts'
import { decide, type Item, type Rule, type RuleSet } from '../../../src/policy/decide.ts'
import { compilePattern } from '../../../src/policy/pattern.ts'
import { Policy } from '../../../src/policy/policy.ts'

type Outcome = boolean | 'throws'

/** A condition that comes to what it says. */
const condition = (outcome: Outcome, perCall: boolean): Condition => ({
  text: String(outcome),
  perCall,
  asksTime: perCall,
  asksPrincipal: false,
  asksTool: false,
  reads: undefined,
  holds: () => {
    if (outcome === 'throws') throw new Error('cannot be evaluated')
    return outcome
  },
})

interface Draft {
  readonly effect: 'allow' | 'deny'
  readonly patterns: readonly string[]
  readonly when: { readonly outcome: Outcome; readonly perCall: boolean } | undefined
  readonly shadow: boolean
}

interface Drafts {
  readonly rules: readonly Draft[]
  readonly default: 'allow' | 'deny'
  readonly shadow: boolean
}

function ruleSet({ rules, default: otherwise, shadow }: Drafts): RuleSet {
  const made = rules.map((draft, at): Rule => ({
    location: `rules[${at}]`,
    effect: draft.effect,
    patterns: draft.patterns.map(compilePattern),
    condition: draft.when && condition(draft.when.outcome, draft.when.perCall),
    shadow: draft.shadow,
  }))
  const of = (effect: string): Rule[] => made.filter(rule => rule.effect === effect)
  return { denies: of('deny'), allows: of('allow'), default: otherwise, shadow }
}

/** Three sentences of the documentation, taken literally. */
function naive(drafts: Drafts, item: Item): { allowed: boolean; rule: string } {
  const about = ({ patterns }: Draft): boolean =>
    patterns.length === 0 ||
    patterns.some(text => {
      const [kind, rest] = text.includes(':') ? text.split(':') : [item.kind, text]
      const [server, name] = (rest as string).split('/')
      return (
        kind === item.kind &&
        (server === '*' || server === item.server) &&
        (name === '*' || name === item.name)
      )
    })
  const found = (effect: string): number =>
    drafts.rules.findIndex(draft => {
      if (draft.effect !== effect || draft.shadow || !about(draft)) return false
      const outcome = draft.when?.outcome ?? true
      return outcome === true || (outcome === 'throws' && effect === 'deny')
    })
  const deny = found('deny')
  if (deny >= 0) return { allowed: drafts.shadow, rule: `rules[${deny}]` }
  const allow = found('allow')
  if (allow >= 0) return { allowed: true, rule: `rules[${allow}]` }
  return { allowed: drafts.default === 'allow' || drafts.shadow, rule: 'default' }
}

describe('decide', () => {
  let seed = 11
  const random = (below: number): number => (seed = (seed * 48271) % 2147483647) % below
  const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T
  const draft = (): Draft => {
    const effect = pick(['allow', 'deny'] as const)
    const patterns = Array.from(
      { length: random(3) },
      () => `${pick(['', '', 'tool:', 'prompt:'])}${pick(['*', 'a', 'b'])}/${pick(['*', 'x', 'y'])}`,
    )
    const when =
      random(2) === 0
        ? undefined
        : { outcome: pick<Outcome>([true, false, 'throws']), perCall: random(2) === 0 }
    return { effect, patterns, when, shadow: effect === 'deny' && random(5) === 0 }
  }
  const rounds = Array.from({ length: 20_000 }, () => ({
    drafts: {
      rules: Array.from({ length: random(6) }, draft),
      default: pick(['allow', 'deny'] as const),
      shadow: random(8) === 0,
    },
    item: {
      kind: pick(ITEM_KINDS),
      server: pick(['a', 'b']),
      name: pick(['x', 'y']),
      title: '',
      annotations: {},
    } satisfies Item,
  }))
  const call = { args: {}, now: new Date() }

  it('is the documentation, over random rules', () => {
    const seen = new Set<string>()
    for (const { drafts, item } of rounds) {
      const expected = naive(drafts, item)
      const decision = decide(ruleSet(drafts), { item, principal: ANONYMOUS, call })
      const credited = drafts.shadow && decision.rule === 'shadow' ? decision.shadowed : decision.rule
      expect(decision.verdict, JSON.stringify({ drafts, item })).toBe(expected.allowed ? 'allow' : 'deny')
      // Among several that allow, the default counts first where it allows; which one is said does not change anything.
      if (decision.verdict === 'deny' || decision.rule === 'shadow') expect(credited).toBe(expected.rule)
      seen.add(`${decision.verdict} ${decision.shadowed !== undefined}`)
    }
    expect([...seen].sort()).toEqual(['allow false', 'allow true', 'deny false', 'deny true'])
  })

  it('never says of a thing what a call of it contradicts', () => {
    const verdicts = new Set<Decision['verdict']>()
    for (const { drafts, item } of rounds) {
      const rules = ruleSet(drafts)
      const before = decide(rules, { item, principal: ANONYMOUS })
      const after = decide(rules, { item, principal: ANONYMOUS, call })
      verdicts.add(before.verdict)
      if (before.verdict === 'depends') continue
      expect(after.verdict, JSON.stringify({ drafts, item })).toBe(before.verdict)
    }
    expect(verdicts.size).toBe(3)
  })

  it('by server is the same, and what may not be seen is never allowed', () => {
    for (const { drafts, item } of rounds) {
      const rules = ruleSet(drafts)
      const policy = new Policy('', rules, ANONYMOUS, () => undefined)
      const decision = decide(rules, { item, principal: ANONYMOUS, call })
      expect(policy.decide(item, {})).toEqual(decision)
      if (!policy.maySee(item.server, item.kind)) expect(decision.verdict).toBe('deny')
      if (policy.unrestricted)
        expect(decision).toEqual({
          verdict: 'allow',
          rule: expect.any(String) as string,
          shadowed: undefined,
        })
    }
  })

  it('tells of every condition that fails', () => {
    const failed: string[] = []
    const rules = ruleSet({
      rules: [
        { effect: 'allow', patterns: [], when: { outcome: 'throws', perCall: true }, shadow: false },
        { effect: 'deny', patterns: ['b/*'], when: { outcome: 'throws', perCall: true }, shadow: false },
      ],
      default: 'deny',
      shadow: false,
    })
    const item: Item = { kind: 'tool', server: 'a', name: 'x', title: '', annotations: {} }
    const decision = decide(rules, { item, principal: ANONYMOUS, call }, (rule, reason) =>
      failed.push(`${rule.location}: ${reason}`),
    )
    expect(decision).toEqual({ verdict: 'deny', rule: 'default', shadowed: undefined })
    expect(failed).toEqual(['rules[0]: cannot be evaluated'])
  })
})
