import { keyringText } from './kept-secrets.ts'
import { SHOWN_SECRET } from './shown-entry.ts'
import { literal, type AddPlan, type AskedValue } from '../registry/plan.ts'
import type { JsonObject } from '../core/exchange.ts'
import type { Answers } from './asked-values.ts'

/** The entry of a server that others describe, made of their plan and of the values of this person. */
export interface PlannedEntry {
  /** The entry as a person may see it: what is secret is `***`, what is missing `<name>`. */
  readonly shown: JsonObject
  /** Without them there is no entry. */
  readonly missing: readonly AskedValue[]
  /** Secrets that were given, by the account of the keyring that they go to. */
  readonly secrets: ReadonlyMap<string, string>
  /** @param kept accounts whose secrets the keyring has */
  written(kept: ReadonlySet<string>): WrittenPlan
}

export interface WrittenPlan {
  readonly entry: JsonObject
  /** Variables that have to be set before the server can start. */
  readonly laterVariables: readonly LaterVariable[]
  /** What the keyring has. */
  readonly kept: readonly AskedValue[]
}

export interface LaterVariable {
  readonly variable: string
  readonly asked: AskedValue
  readonly wasGiven: boolean
}

/** @param key name for what is kept for the server */
export function plannedEntry(plan: AddPlan, answers: Answers, server: string, key: string): PlannedEntry {
  const byKey = new Map(plan.asked.map(asked => [asked.key, asked] as const))
  const accountOf = (asked: AskedValue): string =>
    `${key}/${uniqueLabel(asked, plan).replace(/[^\w.-]/g, '_')}`
  // A default is known to all, and must not hide what runs.
  const given = (asked: AskedValue): string | undefined => {
    const answer = answers.get(asked.key)
    return asked.isSecret && answer?.isGiven ? answer.text : undefined
  }
  const isLater = (asked: AskedValue): boolean =>
    asked.isSecret && asked.isRequired && !answers.has(asked.key)
  const textOf = (asked: AskedValue): string | undefined => {
    const answer = answers.get(asked.key)
    return answer && literal(answer.text)
  }
  const secrets = plan.asked.flatMap(asked => {
    const secret = given(asked)
    return secret === undefined ? [] : [[accountOf(asked), secret] as const]
  })
  return {
    missing: plan.asked.filter(asked => asked.isRequired && !answers.has(asked.key) && !isLater(asked)),
    secrets: new Map(secrets),
    shown: plan.entry(name => {
      const asked = byKey.get(name)
      if (!asked) return undefined
      if (given(asked) !== undefined) return SHOWN_SECRET
      if (isLater(asked)) return `\${${variableFor(server, asked, plan)}}`
      return textOf(asked) ?? (asked.isRequired ? `<${asked.label}>` : undefined)
    }),
    written: inKeyring => {
      const laterVariables: LaterVariable[] = []
      const kept: AskedValue[] = []
      const texts = new Map<string, string | undefined>()
      for (const asked of plan.asked) {
        const secret = given(asked)
        const account = accountOf(asked)
        if (secret === undefined && !isLater(asked)) texts.set(asked.key, textOf(asked))
        else if (secret !== undefined && inKeyring.has(account)) {
          texts.set(asked.key, keyringText(account))
          kept.push(asked)
        } else {
          const variable = variableFor(server, asked, plan)
          texts.set(asked.key, `\${${variable}}`)
          laterVariables.push({ variable, asked, wasGiven: secret !== undefined })
        }
      }
      return { entry: plan.entry(name => texts.get(name)), laterVariables, kept }
    },
  }
}

/** Two values of one plan may have the same label. */
function uniqueLabel({ label, key }: AskedValue, { asked }: AddPlan): string {
  return asked.filter(other => other.label === label).length > 1 ? key : label
}

/**
 * The variable for a secret. Only that of a program has the name that others gave it: any other would be one of this
 * person, such as a token for something else, which goes to an address of their choice then.
 */
function variableFor(server: string, asked: AskedValue, plan: AddPlan): string {
  if (asked.key === `env.${asked.label}`) return asked.label
  const name = `${server}_${uniqueLabel(asked, plan)}`.toUpperCase().replace(/\W+/g, '_')
  return /^\d/.test(name) ? `_${name}` : name
}
