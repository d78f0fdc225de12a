import { hash } from 'node:crypto'
import { canonical } from '../core/canonical.ts'
import type { Json, JsonObject } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import { withoutEnd } from '../core/without-end.ts'
import { find, members, repeatedKey, skipValue } from '../protocol/json-text.ts'
import { META } from '../protocol/revisions.ts'

/**
 * Keys of requests. Arguments are compared in the canonical form of RFC 8785 (JSON Canonicalization Scheme). A text
 * with more information than its parsed value (a number beyond a double, a duplicate key) is used as it is, and so is
 * one that is too deep or too long to be parsed.
 */

/** Deeper arguments are used as they are. */
const MAX_DEPTH = 100
/** Longer arguments are used as they are. */
const MAX_CANONICAL_CHARS = 64 * 1024
/** Requests with longer arguments are not cached: hashing them would cost more than it saves. */
const MAX_CHARS = 1024 * 1024
/** Longer ones are hashed, so that keys stay short. */
const MAX_PLAIN_CHARS = 128

/**
 * Members of `_meta` that do not affect an answer: those used by the gateway itself, the trace (W3C Trace Context), and
 * numbers that clients give their calls. A request with any other member is not cached.
 */
const IDLE_META: ReadonlySet<string> = new Set([
  'progressToken',
  ...Object.values(META),
  'traceparent',
  'tracestate',
  'baggage',
  'claudecode/toolUseId',
  'vscode.conversationId',
  'vscode.requestId',
])

/** A path into the arguments. */
export type ArgPath = readonly string[]

/** Parses paths of the configuration: `a.b` is `b` in the object `a`, and also a member of that name. */
export function argPaths(ignored: readonly string[]): readonly ArgPath[] {
  return ignored.flatMap(path => (path.includes('.') ? [[path], path.split('.')] : [[path]]))
}

/**
 * The part of a key for the parameters of a request: without a line break, and at most 130 characters. `target` names
 * the called item and is not included. `undefined` for a request with more than a name and arguments.
 */
export function paramsKey(
  params: Json<JsonObject>,
  target: 'name' | 'uri',
  ignored: readonly ArgPath[] = [],
): string | undefined {
  const { text, value } = params
  let count = 0
  for (const key in value) {
    if (key === '_meta') {
      if (!isIdle(value._meta)) return undefined
    } else if (key !== target && !(key === 'arguments' && target === 'name')) return undefined
    count++
  }
  const list = members(text)
  // A duplicate member is refused on the way to the server, not answered from the cache.
  if (list.length !== count) return undefined
  const given = target === 'name' ? find(list, 'arguments') : undefined
  return given ? argumentsKey(text.slice(given.start, given.end), value.arguments, ignored) : '-'
}

/** The part for the arguments themselves. `raw` is their text. */
export function argumentsKey(raw: string, value: unknown, ignored: readonly ArgPath[]): string | undefined {
  if (raw.length > MAX_CHARS) return undefined
  const form = canonicalOf(raw, value, ignored)
  if (form === undefined) return `r${sha256(raw)}`
  return form.length > MAX_PLAIN_CHARS ? `h${sha256(form)}` : `c${form}`
}

export function sha256(text: string): string {
  return hash('sha256', text, 'base64url')
}

function isIdle(meta: unknown): boolean {
  if (!isJsonObject(meta)) return false
  for (const key in meta) if (!IDLE_META.has(key)) return false
  return true
}

/** `undefined` if only the text itself is exact. */
function canonicalOf(raw: string, value: unknown, ignored: readonly ArgPath[]): string | undefined {
  if (raw.length > MAX_CANONICAL_CHARS) return undefined
  const shape = shapeOf(value, 0)
  if (shape === DEEP) return undefined
  // The text then has no white space, one form for each number and string, and no duplicate key.
  const plain = JSON.stringify(value) === raw
  if (!plain && (!numbersSurvive(raw) || repeatedKey(raw) !== undefined)) return undefined
  const counted = ignored.reduce<unknown>((rest, path) => without(rest, path, 0), value)
  return plain && shape === SORTED && counted === value ? raw : canonical(counted)
}

const SORTED = 0
const UNSORTED = 1
const DEEP = 2

function shapeOf(value: unknown, depth: number): number {
  if (typeof value !== 'object' || value === null) return SORTED
  if (depth === MAX_DEPTH) return DEEP
  let shape = SORTED
  if (Array.isArray(value)) {
    for (const item of value as unknown[]) {
      shape = Math.max(shape, shapeOf(item, depth + 1))
      if (shape === DEEP) break
    }
    return shape
  }
  let last: string | undefined
  for (const key in value) {
    if (last !== undefined && key < last) shape = Math.max(shape, UNSORTED)
    last = key
    shape = Math.max(shape, shapeOf((value as JsonObject)[key], depth + 1))
    if (shape === DEEP) break
  }
  return shape
}

/** The value without the member at a path; the value itself if there is none. */
function without(value: unknown, path: ArgPath, at: number): unknown {
  const key = path[at] as string
  if (!isJsonObject(value) || !Object.hasOwn(value, key)) return value
  const isLast = at === path.length - 1
  const inner = isLast ? undefined : without(value[key], path, at + 1)
  if (!isLast && inner === value[key]) return value
  // Not by assignment, because `__proto__` is an ordinary member here.
  const entries = Object.entries(value).flatMap(([name, member]) =>
    name !== key ? [[name, member] as const] : isLast ? [] : [[name, inner] as const],
  )
  return Object.fromEntries(entries)
}

const QUOTE = 34
const MINUS = 45
const ZERO = 48
const NINE = 57

function numbersSurvive(raw: string): boolean {
  for (let at = 0; at < raw.length;) {
    const code = raw.charCodeAt(at)
    if (code === MINUS || (code >= ZERO && code <= NINE)) {
      const end = skipValue(raw, at)
      if (!survives(raw.slice(at, end))) return false
      at = end
    } else at = code === QUOTE ? skipValue(raw, at) : at + 1
  }
  return true
}

/** Whether a double keeps all the digits of a number, and its sign. */
function survives(token: string): boolean {
  const number = Number(token)
  if (!Number.isFinite(number)) return false
  const text = String(number)
  return text === token || decimal(text) === decimal(token)
}

/** Sign, digits without zeros at either end, and the power of ten of the last digit. */
function decimal(token: string): string {
  const [, sign = '', whole = '', fraction = '', power = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(token) ?? []
  const all = (whole + fraction).replace(/^0+/, '')
  const digits = withoutEnd(all, '0')
  if (digits === '') return `${sign}0`
  return `${sign}${digits}e${Number(power) - fraction.length + (all.length - digits.length)}`
}
