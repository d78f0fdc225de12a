import { isJsonObject } from '../core/json-object.ts'
import { typedText } from './call-arguments.ts'
import { NotAnswered } from './stopped.ts'
import { askPerson, isPersonThere, oneLine } from './terminal.ts'
import { endWaitingLine } from './waiting.ts'
import type { JsonObject } from '../core/exchange.ts'

const MAX_FIELDS = 50
const MAX_TRIES = 3

/**
 * Answers a question of a server: asked at the terminal, declined where there is none. What is typed for a field that
 * does not fit is asked again. No server speaks for this program.
 */
export async function answerElicitation(params: JsonObject): Promise<JsonObject> {
  if (!isPersonThere()) return { action: 'decline' }
  const { mode, url, message, requestedSchema } = params
  endWaitingLine()
  // The gateway puts the name of the server before its words.
  process.stderr.write(`A server asks: ${oneLine(String(message ?? ''))}\n`)
  try {
    if (mode === 'url') {
      process.stderr.write(`  ${oneLine(String(url))}\n`)
      const answer = await askPerson('Open this address, then press Enter; "n" declines. ')
      return { action: /^n/i.test(answer) ? 'decline' : 'accept' }
    }
    const schema = isJsonObject(requestedSchema) ? requestedSchema : {}
    const properties = isJsonObject(schema['properties']) ? schema['properties'] : {}
    const required = Array.isArray(schema['required']) ? schema['required'] : []
    const content: Record<string, unknown> = {}
    for (const [name, property] of Object.entries(properties).slice(0, MAX_FIELDS)) {
      const field = await askField(name, isJsonObject(property) ? property : {}, required.includes(name))
      if (field === undefined) return { action: 'decline' }
      if (field.isGiven) content[name] = field.value
    }
    return { action: 'accept', content }
  } catch (error) {
    if (error instanceof NotAnswered) return { action: 'cancel' }
    throw error
  }
}

/** `undefined`: there was no usable answer. */
async function askField(
  name: string,
  property: JsonObject,
  isRequired: boolean,
): Promise<{ readonly isGiven: boolean; readonly value?: unknown } | undefined> {
  const { title, description, default: otherwise } = property
  const values = choicesOf(property)
  const label = oneLine(String(title ?? name))
  const about = [
    ...(description === undefined ? [] : [oneLine(String(description))]),
    ...(values.length > 0 ? [`one of ${values.map(oneLine).join(', ')}`] : []),
    ...(otherwise === undefined ? [] : [`default ${oneLine(JSON.stringify(otherwise))}`]),
    ...(isRequired || otherwise !== undefined ? [] : ['may be left out']),
  ]
  const question = `${label}${about.length > 0 ? ` (${about.join('; ')})` : ''}: `
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const answer = await askPerson(question)
    if (answer === '' && otherwise !== undefined) return { isGiven: true, value: otherwise }
    if (answer === '' && !isRequired) return { isGiven: false }
    if (answer === '' || (values.length > 0 && !values.includes(answer))) continue
    try {
      return { isGiven: true, value: JSON.parse(typedText(name, answer, property)) }
    } catch (error) {
      process.stderr.write(`${(error as Error).message}\n`)
    }
  }
  return undefined
}

function choicesOf({ enum: values, oneOf }: JsonObject): string[] {
  if (Array.isArray(values)) return values.map(String)
  if (!Array.isArray(oneOf)) return []
  return oneOf.flatMap(choice =>
    isJsonObject(choice) && choice['const'] !== undefined ? [String(choice['const'])] : [],
  )
}
