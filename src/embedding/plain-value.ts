import { GatewayError } from '../core/errors.ts'

/** As in a file. */
const MAX_DEPTH = 64

/**
 * Checks that a value given as a configuration is what a file could hold: objects, lists, texts, numbers, flags and
 * null. Members without a value are accepted. Anything else could be taken for an empty object.
 * @throws GatewayError `config` with the location of what is something else
 */
export function checkPlain(value: unknown): asserts value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refused(
      `The configuration is ${nameOf(value)}. Pass an object in the form of servers.json, the path of a file, or what loadConfig has returned`,
    )
  const checked = new Set<object>()
  const around = new Set<object>()
  const visit = (at: unknown, path: string): void => {
    if (typeof at !== 'object' || at === null) {
      if (typeof at === 'bigint' || typeof at === 'symbol' || typeof at === 'function')
        throw refused(`${path} is ${nameOf(at)}, which no file can hold`)
      return
    }
    if (around.has(at)) throw refused(`${path} contains itself`)
    if (checked.has(at)) return
    if (around.size >= MAX_DEPTH) throw refused(`${path} is nested more than ${MAX_DEPTH} deep`)
    if (!isPlain(at)) throw refused(`${path} is ${nameOf(at)}. Pass a plain object`)
    around.add(at)
    for (const [key, member] of Object.entries(at)) visit(member, `${path}[${JSON.stringify(key)}]`)
    around.delete(at)
    checked.add(at)
  }
  visit(value, 'The configuration')
}

function refused(text: string): GatewayError {
  return new GatewayError('config', `${text}.`)
}

/** Also of another realm, as in a test runner. */
function isPlain(value: object): boolean {
  if (Array.isArray(value)) return true
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** The kind of a value, without its content. */
function nameOf(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'object') return Array.isArray(value) ? 'a list' : `of the class ${classOf(value)}`
  return `a ${typeof value}`
}

function classOf(value: object): string {
  const { constructor } = value as { constructor?: unknown }
  return typeof constructor === 'function' ? constructor.name.slice(0, 60) : 'of another kind'
}
