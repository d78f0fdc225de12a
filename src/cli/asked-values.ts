import { GatewayError } from '../core/errors.ts'
import { notThere } from './not-there.ts'
import { askPerson, isPersonThere, oneLine } from './terminal.ts'
import type { AskedValue } from '../registry/plan.ts'
import type { AddOptions } from './add-options.ts'

const MAX_TRIES = 3

/** A value of what is added. */
export interface Answer {
  readonly text: string
  /** Whether a person gave it. Otherwise it is the default of the description. */
  readonly isGiven: boolean
}

/** By the key of what was asked for. Values that were left out are not in it. */
export type Answers = ReadonlyMap<string, Answer>

/**
 * Gets the values that a server needs: of `--set`, at the terminal, or by their defaults.
 * @throws GatewayError `config` for a `--set` of another name, `cancelled` without a usable answer; NotAnswered
 */
export async function answersTo(
  asked: readonly AskedValue[],
  options: AddOptions,
  signal: AbortSignal,
): Promise<Answers> {
  const answers = givenValues(options.set ?? [], asked)
  for (const one of asked) {
    if (answers.has(one.key)) continue
    const answer = await answerTo(one, options, signal)
    if (answer !== undefined) answers.set(one.key, answer)
  }
  return answers
}

/** A value in a sentence, with what the description says of it. */
export function askedFor({ label, description }: AskedValue): string {
  return `${oneLine(label)}${description === '' ? '' : ` (${oneLine(description)})`}`
}

function givenValues(set: readonly string[], asked: readonly AskedValue[]): Map<string, Answer> {
  return new Map(
    set.map(text => {
      const at = text.indexOf('=')
      const name = text.slice(0, Math.max(at, 0))
      const one = asked.find(({ label, key }) => label === name || key === name)
      if (at < 1 || !one)
        throw notThere(
          quoted => `--set ${quoted}: this server asks for no such value`,
          name === '' ? text : name,
          asked.map(({ label }) => label),
          'It asks for none.',
        )
      return [one.key, { text: text.slice(at + 1), isGiven: true }] as const
    }),
  )
}

/** `undefined`: it is left out. */
async function answerTo(
  one: AskedValue,
  { yes, json }: AddOptions,
  signal: AbortSignal,
): Promise<Answer | undefined> {
  const { label, isRequired, isSecret, otherwise, choices } = one
  const byDefault = otherwise === undefined ? undefined : { text: otherwise, isGiven: false }
  if (json || !isPersonThere() || (yes && (!isRequired || byDefault))) return byDefault
  const hints = [
    ...(choices.length > 0 ? [`one of ${choices.map(oneLine).join(', ')}`] : []),
    ...(otherwise === undefined ? [] : [`default ${oneLine(otherwise)}`]),
    ...(isRequired || byDefault ? [] : ['may be left out']),
  ]
  const question = `${askedFor(one)}${hints.length > 0 ? ` (${hints.join('; ')})` : ''}: `
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const text = await askPerson(question, { isSecret, signal })
    if (text === '' && (byDefault || !isRequired)) return byDefault
    if (text !== '' && (choices.length === 0 || choices.includes(text))) return { text, isGiven: true }
  }
  throw new GatewayError('cancelled', `${oneLine(label)} was not given. Nothing was added.`)
}
