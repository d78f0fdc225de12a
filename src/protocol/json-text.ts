/**
 * Finds and replaces members in JSON *text*. Relayed messages are never re-stringified, because that would change
 * numbers (`12345678901234567890`, `1.0`), key order and escapes. Instead, only the spans that must change are
 * replaced.
 *
 * No function here validates: the text has already passed `JSON.parse`. Each function still terminates on any text,
 * after one pass. A text that is not an object or array as required, or is truncated, throws a `JsonTextError`.
 */

/**
 * A member of an object: the spans of its key (with quotes) and its value. Offsets are UTF-16 code units, ends
 * exclusive.
 */
export interface JsonMember {
  readonly key: string
  readonly keyStart: number
  readonly start: number
  readonly end: number
}

/** Replaces `[start, end)` by `text`. */
export interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

/** The text does not have the form that a function of this module requires. */
export class JsonTextError extends Error {
  constructor(wanted: string, text: string, at: number) {
    const found = at < text.length ? JSON.stringify(text.charAt(at)) : 'the end of the text'
    super(`JSON text: ${wanted} is expected at position ${at}, and there is ${found}.`)
    this.name = 'JsonTextError'
  }
}

const QUOTE = 34
const COMMA = 44
const COLON = 58
const OPEN_BRACKET = 91
const BACKSLASH = 92
const CLOSE_BRACKET = 93
const OPEN_BRACE = 123
const CLOSE_BRACE = 125

/** Index of the first character at or after `at` that is not white space. */
export function skipSpace(text: string, at: number): number {
  for (;;) {
    const code = text.charCodeAt(at)
    if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return at
    at++
  }
}

/** Index after the string that starts at `at`. It searches from quote to quote, so long strings cost little. */
function skipString(text: string, at: number): number {
  if (text.charCodeAt(at) !== QUOTE) throw new JsonTextError('a string', text, at)
  let end = text.indexOf('"', at + 1)
  while (end !== -1) {
    let before = end - 1
    while (text.charCodeAt(before) === BACKSLASH) before--
    // The quote is not escaped when an even number of backslashes precedes it.
    if ((end - before) & 1) return end + 1
    end = text.indexOf('"', end + 1)
  }
  throw new JsonTextError('the end of a string', text, text.length)
}

/**
 * Index after the value that starts at `at`, always greater than `at`.
 * @throws JsonTextError when no value starts there
 */
export function skipValue(text: string, at: number): number {
  const first = text.charCodeAt(at)
  if (first === QUOTE) return skipString(text, at)
  if (first === OPEN_BRACE || first === OPEN_BRACKET) {
    let depth = 0
    while (at < text.length) {
      const code = text.charCodeAt(at)
      if (code === QUOTE) {
        at = skipString(text, at)
        continue
      }
      at++
      if (code === OPEN_BRACE || code === OPEN_BRACKET) depth++
      else if ((code === CLOSE_BRACE || code === CLOSE_BRACKET) && --depth === 0) return at
    }
    throw new JsonTextError('the end of an object or array', text, at)
  }
  for (const start = at; ; at++) {
    const code = text.charCodeAt(at)
    // Number or literal: ends at the next separator, white space or the end of the text (NaN).
    if (code === COMMA || code === CLOSE_BRACE || code === CLOSE_BRACKET || code <= 32 || code !== code) {
      if (at === start) throw new JsonTextError('a value', text, at)
      return at
    }
  }
}

/** Whether the value at `at`, after white space, is an object. */
export function isObjectAt(text: string, at = 0): boolean {
  return text.charCodeAt(skipSpace(text, at)) === OPEN_BRACE
}

/** Index after the bracket `open`, which must be the next character after white space. */
function enter(text: string, at: number, open: number): number {
  const start = skipSpace(text, at)
  if (text.charCodeAt(start) === open) return start + 1
  throw new JsonTextError(open === OPEN_BRACE ? 'an object' : 'an array', text, start)
}

/**
 * Members of the object whose `{` is at `at` (after white space), in the order of the text, duplicates included.
 * @throws JsonTextError when there is no object
 */
export function members(text: string, at = 0): JsonMember[] {
  const list: JsonMember[] = []
  at = enter(text, at, OPEN_BRACE)
  for (;;) {
    at = skipSpace(text, at)
    const code = text.charCodeAt(at)
    if (code === CLOSE_BRACE) return list
    if (code === COMMA) {
      at++
      continue
    }
    const keyStart = at
    at = skipString(text, at)
    const key = keyOf(text, keyStart, at)
    const colon = skipSpace(text, at)
    if (text.charCodeAt(colon) !== COLON) throw new JsonTextError('a colon', text, colon)
    const start = skipSpace(text, colon + 1)
    at = skipValue(text, start)
    list.push({ key, keyStart, start, end: at })
  }
}

/**
 * Calls `visit` with the span of each element of the array whose `[` is at `at`, until it returns `false`.
 * @throws JsonTextError when there is no array
 */
export function eachElement(
  text: string,
  at: number,
  visit: (start: number, end: number, index: number) => boolean | void,
): void {
  at = enter(text, at, OPEN_BRACKET)
  for (let index = 0; ;) {
    at = skipSpace(text, at)
    const code = text.charCodeAt(at)
    if (code === CLOSE_BRACKET) return
    if (code === COMMA) {
      at++
      continue
    }
    const end = skipValue(text, at)
    if (visit(at, end, index++) === false) return
    at = end
  }
}

/**
 * Spans of at most `max` elements of the array whose `[` is at `at`.
 * @throws JsonTextError when there is no array
 */
export function elements(text: string, at = 0, max = Infinity): { start: number; end: number }[] {
  const list: { start: number; end: number }[] = []
  eachElement(text, at, (start, end) => list.length < max && list.push({ start, end }) < max)
  return list
}

/** The last member with this key, which is the one that `JSON.parse` uses. */
export function find(list: readonly JsonMember[], key: string): JsonMember | undefined {
  for (let i = list.length - 1; i >= 0; i--) {
    const member = list[i] as JsonMember
    if (member.key === key) return member
  }
  return undefined
}

/**
 * The members of an object by key; of duplicates the last one, as in `JSON.parse`. For many look-ups in one object.
 * @throws JsonTextError when there is no object
 */
export function lastMembers(text: string, at = 0): Map<string, JsonMember> {
  const byKey = new Map<string, JsonMember>()
  for (const member of members(text, at)) byKey.set(member.key, member)
  return byKey
}

/** Raw text of the value at a path of keys; `undefined` when a key is missing or its parent is not an object. */
export function rawAt(text: string, ...path: string[]): string | undefined {
  let start = 0
  let end = text.length
  for (const key of path) {
    if (!isObjectAt(text, start)) return undefined
    const member = find(members(text, start), key)
    if (!member) return undefined
    start = member.start
    end = member.end
  }
  return text.slice(start, end)
}

/** Whether objects and arrays are nested deeper than `max` anywhere in the text. */
export function isDeeperThan(text: string, max: number): boolean {
  let depth = 0
  for (let at = 0; at < text.length;) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      at = skipString(text, at)
      continue
    }
    if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      if (++depth > max) return true
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth--
    at++
  }
  return false
}

/**
 * A key that occurs twice in one object anywhere in the text, `undefined` when there is none. One pass, regardless of
 * depth.
 */
export function repeatedKey(text: string): string | undefined {
  const open: (Keys | undefined)[] = []
  for (let at = 0; at < text.length;) {
    const code = text.charCodeAt(at)
    if (code !== QUOTE) {
      if (code === OPEN_BRACE) open.push(new Keys())
      else if (code === OPEN_BRACKET) open.push(undefined)
      else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) open.pop()
      at++
      continue
    }
    const end = skipString(text, at)
    // Only a key is followed by a colon.
    if (text.charCodeAt(skipSpace(text, end)) === COLON) {
      const key = keyOf(text, at, end)
      if (open.at(-1)?.add(key) === false) return key
    }
    at = end
  }
  return undefined
}

/** The decoded key whose quotes are at `start` and `end - 1`. */
function keyOf(text: string, start: number, end: number): string {
  const raw = text.slice(start + 1, end - 1)
  if (!raw.includes('\\')) return raw
  try {
    return JSON.parse(`"${raw}"`) as string
  } catch {
    throw new JsonTextError('a key', text, start)
  }
}

/** Up to this many keys are compared one by one, which is faster than a set. */
const FEW_KEYS = 8

/** The keys of one object. */
class Keys {
  readonly #few: string[] = []
  #many: Set<string> | undefined

  /** Returns `false` for a duplicate. */
  add(key: string): boolean {
    if (this.#many) return this.#many.size < this.#many.add(key).size
    if (this.#few.includes(key)) return false
    this.#few.push(key)
    if (this.#few.length > FEW_KEYS) this.#many = new Set(this.#few)
    return true
  }
}

/** Applies edits in any order; they must not overlap. */
export function splice(text: string, edits: readonly Edit[]): string {
  if (edits.length === 0) return text
  const sorted = inOrder(edits) ? edits : [...edits].sort((a, b) => a.start - b.start)
  let out = ''
  let from = 0
  for (const edit of sorted) {
    out += text.slice(from, edit.start) + edit.text
    from = edit.end
  }
  return out + text.slice(from)
}

function inOrder(edits: readonly Edit[]): boolean {
  for (let i = 1; i < edits.length; i++)
    if ((edits[i - 1] as Edit).start > (edits[i] as Edit).start) return false
  return true
}

/**
 * Replaces, adds and removes members of the object text `object`; all other members keep their bytes and order. A value
 * of `undefined` removes. New members are inserted at the front, so that long values need not be scanned.
 * @throws JsonTextError when there is no object
 */
export function withMembers(object: string, changes: Readonly<Record<string, string | undefined>>): string {
  const list = members(object)
  const open = skipSpace(object, 0)
  const kept: string[] = []
  const added: string[] = []
  const seen = new Set<string>()
  let changed = false
  for (const member of list) {
    if (!Object.hasOwn(changes, member.key)) {
      kept.push(object.slice(member.keyStart, member.end))
      continue
    }
    changed = true
    const value = changes[member.key]
    if (value !== undefined && !seen.has(member.key))
      kept.push(object.slice(member.keyStart, member.start) + value)
    seen.add(member.key)
  }
  for (const key of Object.keys(changes)) {
    const value = changes[key]
    if (value !== undefined && !seen.has(key)) added.push(`${JSON.stringify(key)}:${value}`)
  }
  if (!changed) {
    // Only additions: one insertion, all other bytes unchanged.
    if (added.length === 0) return object
    const comma = list.length > 0 ? ',' : ''
    return `${object.slice(0, open + 1)}${added.join(',')}${comma}${object.slice(open + 1)}`
  }
  return `{${[...added, ...kept].join(',')}}`
}

/** Puts a JSON text on one line: raw line breaks can only be white space. */
export function onOneLine(text: string): string {
  return text.includes('\n') || text.includes('\r') ? text.replace(/[\r\n]/g, ' ') : text
}
