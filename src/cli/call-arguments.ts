import { nearest } from '../config/validate/nearest.ts'
import { GatewayError } from '../core/errors.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { JsonObject } from '../core/exchange.ts'

/** Arguments typed as `key=value` become the JSON text that a tool gets, by its input schema. */

const MAX_REFERENCES = 8
/** As JSON has them, so that the digits go on as they were typed. */
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/

/**
 * The JSON text of the arguments.
 * @param words `key=value`, whose type follows from the schema; `key:=json`; or one JSON object
 * @param schema the input schema of the tool; `undefined`: every value is a text
 * @throws GatewayError `config` that names the argument, and what the tool takes
 */
export function argumentsText(words: readonly string[], schema: JsonObject | undefined): string {
  const [first] = words
  if (words.length === 1 && first?.trimStart().startsWith('{')) return objectText(first, 'The arguments')
  const given = new Map<string, string[]>()
  for (const word of words) {
    const [, name, isJson, value] = /^([^=]*?)(:?)=(.*)$/s.exec(word) ?? []
    if (!name || value === undefined)
      throw refused(`${JSON.stringify(word)} is no argument. Write key=value, key:=json, or one JSON object.`)
    const text = isJson ? jsonText(value, name) : valueText(name, value, schema)
    given.set(name, [...(given.get(name) ?? []), text])
  }
  const members = [...given].map(
    ([name, texts]) => `${JSON.stringify(name)}:${memberText(name, texts, schema)}`,
  )
  const missing = requiredOf(schema).filter(name => !given.has(name))
  if (missing.length > 0) throw refused(`It needs ${listed(missing, schema)}. ${usage(schema)}`)
  return `{${members.join(',')}}`
}

/** @throws GatewayError `config` for a text that is no JSON object */
export function objectText(text: string, what: string): string {
  try {
    if (isJsonObject(JSON.parse(text))) return text.trim()
  } catch {
    // Said below.
  }
  throw refused(`${what} are no JSON object such as {"path":"a.txt"}.`)
}

/**
 * The JSON text of one typed value.
 * @throws GatewayError `config`
 */
export function typedText(name: string, value: string, schema: unknown, root?: JsonObject): string {
  const types = typesOf(schema, root)
  for (const type of types) {
    const text = TEXT_OF[type]?.(value)
    if (text !== undefined) return text
  }
  if (types.length === 0 || types.includes('string')) return JSON.stringify(value)
  const example = types.includes('object') ? `. Write ${name}:=json` : ''
  throw refused(
    `${JSON.stringify(name)} takes ${types.map(kindText).join(' or ')}, and ${JSON.stringify(value)} is not one${example}.`,
  )
}

function kindText(type: string): string {
  return type === 'null' ? 'null' : `${/^[aio]/.test(type) ? 'an' : 'a'} ${type}`
}

/** By type; `undefined`: the value is none of this type. Texts come last. */
const TEXT_OF: Readonly<Record<string, (value: string) => string | undefined>> = {
  null: value => (value === 'null' ? value : undefined),
  boolean: value => (value === 'true' || value === 'false' ? value : undefined),
  integer: value => (NUMBER.test(value) && Number.isInteger(Number(value)) ? value : undefined),
  number: value => (NUMBER.test(value) ? value : undefined),
  object: value => parsedAs(value, isJsonObject),
  array: value => parsedAs(value, Array.isArray),
}
const ORDER = ['null', 'boolean', 'integer', 'number', 'object', 'array', 'string']

function parsedAs(text: string, is: (value: unknown) => boolean): string | undefined {
  try {
    return is(JSON.parse(text)) ? text : undefined
  } catch {
    return undefined
  }
}

function valueText(name: string, value: string, schema: JsonObject | undefined): string {
  if (!schema) return JSON.stringify(value)
  const properties = propertiesOf(schema)
  if (!Object.hasOwn(properties, name)) {
    const names = Object.keys(properties)
    const { additionalProperties: others } = schema
    if (others === true || isJsonObject(others) || (names.length === 0 && others !== false))
      return JSON.stringify(value)
    const near = nearest(name, names)
    const hint = near === undefined ? usage(schema) : `Did you mean ${JSON.stringify(near)}?`
    throw refused(`The tool has no argument ${JSON.stringify(name)}. ${hint}`)
  }
  const property = properties[name]
  const types = typesOf(property, schema)
  // One item, of an argument that takes several.
  if (types.includes('array') && parsedAs(value, Array.isArray) === undefined) {
    const { items } = resolved(property, schema) ?? {}
    return typedText(name, value, items, schema)
  }
  return typedText(name, value, property, schema)
}

function memberText(name: string, texts: readonly string[], schema: JsonObject | undefined): string {
  const [text = ''] = texts
  const isList = schema !== undefined && typesOf(propertiesOf(schema)[name], schema).includes('array')
  if (isList) return texts.length === 1 && text.trimStart().startsWith('[') ? text : `[${texts.join(',')}]`
  if (texts.length === 1) return text
  throw refused(`${JSON.stringify(name)} is given ${texts.length} times, and takes one value.`)
}

function jsonText(value: string, name: string): string {
  try {
    JSON.parse(value)
    return value
  } catch {
    throw refused(
      `${JSON.stringify(name)} is no JSON: ${JSON.stringify(value.slice(0, 100))}. A text needs quotes in it.`,
    )
  }
}

/** The types that a schema permits, the most special first. Empty: any. */
function typesOf(schema: unknown, root: JsonObject | undefined): readonly string[] {
  const found = resolved(schema, root)
  if (!found) return []
  const { type, enum: values, anyOf, oneOf } = found
  const types = new Set<string>()
  if (typeof type === 'string') types.add(type)
  else if (Array.isArray(type)) for (const one of type) types.add(String(one))
  else if (Array.isArray(values))
    for (const value of values) types.add(value === null ? 'null' : typeof value)
  for (const choice of [anyOf, oneOf].flat().slice(0, 20))
    if (choice !== undefined) for (const one of typesOf(resolved(choice, root), undefined)) types.add(one)
  return ORDER.filter(one => types.has(one))
}

/** The schema that a local reference stands for. */
function resolved(schema: unknown, root: JsonObject | undefined): JsonObject | undefined {
  let found = schema
  for (let depth = 0; depth < MAX_REFERENCES; depth++) {
    if (!isJsonObject(found)) return undefined
    const { $ref: reference } = found
    if (typeof reference !== 'string') return found
    const path = /^#\/(.*)$/.exec(reference)?.[1]?.split('/') ?? []
    found = path.reduce<unknown>((at, key) => (isJsonObject(at) ? at[key] : undefined), root)
  }
  return undefined
}

function propertiesOf(schema: JsonObject | undefined): JsonObject {
  const properties = schema?.['properties']
  return isJsonObject(properties) ? properties : {}
}

function requiredOf(schema: JsonObject | undefined): string[] {
  const required = schema?.['required']
  return Array.isArray(required) ? required.filter(name => typeof name === 'string') : []
}

function listed(names: readonly string[], schema: JsonObject | undefined): string {
  const properties = propertiesOf(schema)
  return names.map(name => `${name} (${typesOf(properties[name], schema).join(' or ') || 'any'})`).join(', ')
}

function usage(schema: JsonObject | undefined): string {
  const names = Object.keys(propertiesOf(schema))
  if (names.length === 0) return 'It takes none.'
  const required = requiredOf(schema)
  return `It takes: ${names.map(name => (required.includes(name) ? `${name}=…` : `[${name}=…]`)).join(' ')}`
}

function refused(message: string): GatewayError {
  return new GatewayError('config', message)
}
