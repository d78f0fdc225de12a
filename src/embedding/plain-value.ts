import { formatPath } from '../config/problem.ts'
import { GatewayError } from '../core/errors.ts'
import { MAX_FILE_BYTES } from '../regular-file.ts'

/** As in a file. */
const MAX_DEPTH = 64
/** Many times what thousands of servers and clients need. */
const MAX_VALUES = 1_000_000
const MAX_CHARACTERS = MAX_FILE_BYTES

type PlainObject = Readonly<Record<string, unknown>>

/**
 * A copy of a value given as a configuration, which holds what a file could hold: objects, lists, texts, numbers, flags
 * and null. Members without a value are kept. Each member is read once, so that what is checked is what is used. An
 * object with several references to it is copied for each.
 * @throws GatewayError `config` with the location of what is something else, cannot be read or exceeds a limit
 */
export function plainCopy(value: unknown): PlainObject {
  const copy = typeof value === 'object' && value !== null ? new Copy().of(value) : undefined
  if (copy === undefined || Array.isArray(copy))
    throw refused(
      `The configuration is ${nameOf(value)}. Pass an object in the form of servers.json, the path of a file, or what loadConfig has returned`,
    )
  return copy as PlainObject
}

class Copy {
  readonly #around = new Set<object>()
  readonly #path: (string | number)[] = []
  #values = 0
  #characters = 0

  of(value: unknown): unknown {
    if (++this.#values > MAX_VALUES)
      throw this.#refused(
        `exceeds ${MAX_VALUES} values, the most of a configuration. What several members refer to counts each time`,
      )
    if (typeof value === 'string') this.#count(value)
    if (typeof value === 'bigint' || typeof value === 'symbol' || typeof value === 'function')
      throw this.#refused(`is ${nameOf(value)}, which no file can hold`)
    if (typeof value !== 'object' || value === null) return value
    if (this.#around.has(value)) throw this.#refused('contains itself')
    if (this.#around.size >= MAX_DEPTH) throw this.#refused(`is nested more than ${MAX_DEPTH} deep`)
    this.#around.add(value)
    const isList = this.#read(() => Array.isArray(value))
    const copy = isList ? this.#list(value as readonly unknown[]) : this.#object(value)
    this.#around.delete(value)
    return copy
  }

  #list(list: readonly unknown[]): unknown[] {
    const copy: unknown[] = []
    const length = this.#read(() => list.length)
    for (let at = 0; at < length; at++) copy.push(this.#member(list, at))
    return copy
  }

  #object(object: object): PlainObject {
    const problem = this.#read(() => (isPlain(object) ? undefined : nameOf(object)))
    if (problem !== undefined) throw this.#refused(`is ${problem}. Pass a plain object`)
    const members: [string, unknown][] = []
    for (const key of this.#read(() => Object.keys(object))) {
      this.#count(key)
      members.push([key, this.#member(object, key)])
    }
    return Object.fromEntries(members)
  }

  #member(holder: object, key: string | number): unknown {
    this.#path.push(key)
    const copy = this.of(this.#read(() => (holder as Record<string | number, unknown>)[key]))
    this.#path.pop()
    return copy
  }

  /** What a getter or a proxy throws is the cause. Its text may be secret. */
  #read<T>(read: () => T): T {
    try {
      return read()
    } catch (cause) {
      throw this.#refused('cannot be read: the object throws an error when it is asked', cause)
    }
  }

  #count(text: string): void {
    this.#characters += text.length
    if (this.#characters > MAX_CHARACTERS)
      throw this.#refused(
        `exceeds ${MAX_CHARACTERS} characters of texts and keys, the most of a configuration`,
      )
  }

  #refused(problem: string, cause?: unknown): GatewayError {
    const place = this.#path.length === 0 ? 'The configuration' : formatPath(this.#path)
    return refused(`${place} ${problem}`, cause)
  }
}

function refused(text: string, cause?: unknown): GatewayError {
  return new GatewayError('config', `${text}.`, cause === undefined ? {} : { cause })
}

/** Also of another realm, as in a test runner. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** The kind of a value, without its content. */
function nameOf(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value !== 'object') return `a ${typeof value}`
  if (Array.isArray(value)) return 'a list'
  const { constructor } = value as { constructor?: unknown }
  const name = typeof constructor === 'function' ? constructor.name.slice(0, 60) : ''
  return name === '' || name === 'Object' ? 'an object with a prototype of its own' : `of the class ${name}`
}
