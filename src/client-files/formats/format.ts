import { isJsonObject } from '../../core/json-object.ts'
import { byteOrderMark, unmarked } from '../../config/load/byte-order-mark.ts'
import { isSame } from '../../config/source/differences.ts'
import type { JsonObject } from '../../core/exchange.ts'

/** Where a client file has its entries: an object by name, or a list whose items have a `name`. */
export interface EntrySection {
  readonly path: readonly string[]
  readonly kind: 'table' | 'list'
}

export interface NamedEntry {
  readonly name: string
  readonly value: unknown
}

/** A text with one entry more. */
export interface Insertion {
  readonly text: string
  /** What was inserted, in one piece. Everything around it is as it was. */
  readonly piece: string
}

/** The text cannot be read. `message` is the part of a sentence that follows its name: `is not JSON at line 3`. */
export class NotReadable extends Error {}

/** The text can be read, but not be changed in place. `message` is the part of a sentence that follows its name. */
export class NotEditable extends Error {}

/** Client files of one syntax. Texts may begin with a byte order mark. */
export interface Format {
  /** @throws NotReadable */
  entries(text: string, section: EntrySection): readonly NamedEntry[]
  /**
   * Adds one entry in front of the others, as one piece of text.
   * @param from an earlier text that has this entry. Where that can be, it is written as it was there, with its
   *   comments.
   * @throws NotReadable, NotEditable
   */
  insert(text: string, section: EntrySection, entry: NamedEntry, from?: string): Insertion
  /**
   * Removes entries with the comments that belong to them.
   * @param piece what `insert` has inserted: it is removed to the byte where it is still there
   * @throws NotReadable, NotEditable
   */
  remove(text: string, section: EntrySection, names: readonly string[], piece?: string): string
  /** What to paste into the file by hand. */
  snippet(section: EntrySection, entry: NamedEntry): string
}

/** A place in a text, and what is inserted there. */
export interface Place {
  readonly at: number
  readonly piece: string
}

/** An entry as it is written in a text, with the comments that belong to it. */
export interface EntryText {
  readonly text: string
  /** Where a comma belongs that separates it from the next one. */
  readonly commaAt: number
}

/** What a syntax has to know. Texts have no byte order mark. */
export interface Syntax {
  /** The value of a text; an empty text has an empty object. @throws NotReadable */
  parse(text: string): unknown
  /** Places for an entry, the best one first. @throws NotEditable */
  places(text: string, section: EntrySection, entry: NamedEntry, written?: EntryText): readonly Place[]
  /** An entry as it is written, with lines of its own; `undefined` where it is written in another way. */
  written(text: string, section: EntrySection, name: string): EntryText | undefined
  /** The text without entries that are there, so that its value is `expected`. @throws NotEditable */
  without(text: string, section: EntrySection, names: ReadonlySet<string>, expected: unknown): string
  snippet(section: EntrySection, entry: NamedEntry): string
}

/** Longer files of an application were not written for people. */
const MAX_CHARS = 8 * 1024 * 1024

/** Every change is parsed again: the text must say the same as before, apart from the entries that were meant. */
export function formatOf(syntax: Syntax): Format {
  const parse = (text: string): unknown => {
    if (text.length > MAX_CHARS) throw new NotReadable(`is longer than ${MAX_CHARS} characters`)
    try {
      return syntax.parse(text)
    } catch (error) {
      if (error instanceof RangeError) throw new NotReadable('is nested too deep')
      throw error
    }
  }

  /** The text, when it says what was meant. */
  const proven = (text: string, expected: unknown, section: EntrySection): boolean => {
    try {
      return isSame(pruned(parse(text), section), pruned(expected, section))
    } catch {
      return false
    }
  }

  return {
    entries: (text, section) => entriesOf(parse(unmarked(text)), section),

    insert(text, section, entry, from) {
      const body = unmarked(text)
      const before = parse(body)
      if (entriesOf(before, section).some(({ name }) => name === entry.name))
        throw new NotEditable(`has an entry ${JSON.stringify(entry.name)} already`)
      const written = from === undefined ? undefined : syntax.written(unmarked(from), section, entry.name)
      for (const { at, piece } of [
        ...(written ? syntax.places(body, section, entry, written) : []),
        ...syntax.places(body, section, entry),
      ]) {
        const edited = body.slice(0, at) + piece + body.slice(at)
        if (!says(parse, edited, section, entry)) continue
        const rest = withoutEntries(parse(edited), section, new Set([entry.name]))
        if (isSame(pruned(rest, section), pruned(before, section)))
          return { text: byteOrderMark(text) + edited, piece }
      }
      throw new NotEditable('is written in a way that cannot be changed in place')
    },

    remove(text, section, names, piece) {
      const body = unmarked(text)
      const before = parse(body)
      const there = new Set(entriesOf(before, section).map(({ name }) => name))
      const gone = new Set(names.filter(name => there.has(name)))
      if (gone.size === 0) return text
      const expected = withoutEntries(before, section, gone)
      if (piece !== undefined && piece !== '') {
        const at = body.indexOf(piece)
        const edited = body.slice(0, at) + body.slice(at + piece.length)
        if (at >= 0 && body.indexOf(piece, at + 1) < 0 && proven(edited, expected, section))
          return byteOrderMark(text) + edited
      }
      const edited = syntax.without(body, section, gone, expected)
      if (!proven(edited, expected, section))
        throw new NotEditable('is written in a way that cannot be changed in place')
      return byteOrderMark(text) + edited
    },

    snippet: (section, entry) => syntax.snippet(section, entry),
  }
}

/** Whether a text has an entry with exactly this value. */
function says(
  parse: (text: string) => unknown,
  text: string,
  section: EntrySection,
  { name, value }: NamedEntry,
): boolean {
  try {
    const found = entriesOf(parse(text), section).filter(entry => entry.name === name)
    return found.length === 1 && isSame(found[0]?.value, value)
  } catch {
    return false
  }
}

function entriesOf(value: unknown, { path, kind }: EntrySection): NamedEntry[] {
  const found = at(value, path)
  if (kind === 'table')
    return isJsonObject(found) ? Object.entries(found).map(([name, value]) => ({ name, value })) : []
  return (Array.isArray(found) ? (found as unknown[]) : []).flatMap(item => {
    if (!isJsonObject(item)) return []
    const { name, ...value } = item
    return typeof name === 'string' ? [{ name, value }] : []
  })
}

function withoutEntries(value: unknown, section: EntrySection, names: ReadonlySet<string>): unknown {
  return changed(value, section.path, found => {
    if (Array.isArray(found))
      return (found as unknown[]).filter(item => !(isJsonObject(item) && names.has(String(item['name']))))
    if (!isJsonObject(found)) return found
    return Object.fromEntries(Object.entries(found).filter(([name]) => !names.has(name)))
  })
}

/** A value in which an empty section, and what holds nothing but it, is as good as none. */
function pruned(value: unknown, { path }: EntrySection): unknown {
  let cut = value
  for (let depth = path.length; depth > 0; depth--)
    cut = changed(cut, path.slice(0, depth), found => (isEmpty(found) ? undefined : found))
  return cut
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === undefined) return true
  return typeof value === 'object' && Object.values(value).every(child => child === undefined)
}

/** A copy with another value at a path; the same value where nothing is there. */
function changed(value: unknown, path: readonly string[], by: (found: unknown) => unknown): unknown {
  const [key, ...rest] = path
  if (key === undefined) return by(value)
  if (!isJsonObject(value) || !Object.hasOwn(value, key)) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, child]) => [name, name === key ? changed(child, rest, by) : child]),
  ) as JsonObject
}

function at(value: unknown, path: readonly string[]): unknown {
  let found = value
  for (const key of path) found = isJsonObject(found) && Object.hasOwn(found, key) ? found[key] : undefined
  return found
}
