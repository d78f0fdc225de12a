import { hash } from 'node:crypto'
import { canonical } from '../core/canonical.ts'
import type { Json, JsonObject } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import { withoutEnd } from '../core/without-end.ts'
import { find, members, repeatedKey, skipValue } from '../protocol/json-text.ts'
import { META } from '../protocol/revisions.ts'

/**
 * What makes two requests the same. Arguments count in the canonical form of RFC 8785 (JSON Canonicalization Scheme); a text that says more than its parsed
 * value (a number beyond a double, a key that stands twice) counts as it is, and so does one that is too deep or too long to be taken apart.
 */

/** Deeper arguments count as they are. */
const MAX_DEPTH = 100
/** Longer ones count as they are. */
const MAX_CANONICAL_CHARS = 64 * 1024
/** Requests with longer ones are not kept: to hash them would cost more than it saves. */
const MAX_CHARS = 1024 * 1024
/** Longer ones are hashed, so that keys stay short. */
const MAX_PLAIN_CHARS = 128

/**
 * Members of `_meta` that make no difference to an answer: those that end at the gateway, the trace (W3C Trace Context), and by which clients number their
 * calls. A request with any other is not kept.
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

/** Paths as the configuration writes them: `a.b` is `b` in the object `a`, and a member of that name. */
export function argPaths(ignored: readonly string[]): readonly ArgPath[] {
  return ignored.flatMap(path => (path.includes('.') ? [[path], path.split('.')] : [[path]]))
}

/**
 * The part of a key that stands for the parameters of a request: without a line break, and at most 130 characters. `target` names what is
 * called and is no part of it. `undefined` for a request that says more than what is called with which arguments.
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
  // What stands twice is refused on the way to the server, not answered.
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

/** `undefined` where only the text itself will do. */
function canonicalOf(raw: string, value: unknown, ignored: readonly ArgPath[]): string | undefined {
  if (raw.length > MAX_CANONICAL_CHARS) return undefined
  const shape = shapeOf(value, 0)
  if (shape === DEEP) return undefined
  // Then it has no white space, every number and every string in its one form, and no key twice.
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

/** The same without the member at a path; the value itself when there is none. */
function without(value: unknown, path: ArgPath, at: number): unknown {
  const key = path[at] as string
  if (!isJsonObject(value) || !Object.hasOwn(value, key)) return value
  const isLast = at === path.length - 1
  const inner = isLast ? undefined : without(value[key], path, at + 1)
  if (!isLast && inner === value[key]) return value
  // Not by assignment: `__proto__` is a member like any other here.
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

/** Whether a double has all the digits of a number, and its sign. */
function survives(token: string): boolean {
  const number = Number(token)
  if (!Number.isFinite(number)) return false
  const text = String(number)
  return text === token || decimal(text) === decimal(token)
}

/** Sign, digits without zeros at either end, and the power of ten of the last one. */
function decimal(token: string): string {
  const [, sign = '', whole = '', fraction = '', power = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(token) ?? []
  const all = (whole + fraction).replace(/^0+/, '')
  const digits = withoutEnd(all, '0')
  if (digits === '') return `${sign}0`
  return `${sign}${digits}e${Number(power) - fraction.length + (all.length - digits.length)}`
}
