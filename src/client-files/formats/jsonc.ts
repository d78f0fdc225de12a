import { findNodeAtLocation, parseTree, type Node } from 'jsonc-parser'
import { Layout } from '../../config/edit/layout.ts'
import { editText } from '../../config/edit/edit-text.ts'
import { isNestedTooDeep } from '../../config/load/nesting.ts'
import { parseJsonc } from '../../config/load/source-text.ts'
import { GatewayError } from '../../core/errors.ts'
import { isJsonObject } from '../../core/json-object.ts'
import {
  formatOf,
  NotEditable,
  NotReadable,
  type NamedEntry,
  type Place,
  type EntrySection,
} from './format.ts'

/** JSON, with comments and trailing commas. */
export const JSONC = formatOf({ parse, places, without, snippet })

/** Whitespace and comments. */
const BLANK = /^(?:\s|\/\/[^\n]*(?:\n|$)|\/\*(?:[^*]|\*(?!\/))*\*\/)*$/

function parse(text: string): unknown {
  if (isBlank(text)) return {}
  if (isNestedTooDeep(text)) throw new NotReadable('is nested too deep')
  try {
    return JSON.parse(text)
  } catch {
    const { value, problem } = parseJsonc(text)
    if (problem === undefined) return value
    throw new NotReadable(`${problem.cause}. ${problem.fix}`)
  }
}

function places(text: string, { path, kind }: EntrySection, { name, value }: NamedEntry): Place[] {
  if (kind === 'list') throw new NotEditable('has its servers in a list')
  const layout = new Layout(text)
  const root = parseTree(text, [], { allowTrailingComma: true })
  if (!root) {
    const head = text === '' || text.endsWith('\n') ? '' : layout.eol
    return [{ at: text.length, piece: head + layout.json(nested(path, name, value), '') + layout.eol }]
  }
  let depth = 0
  let object = root
  for (; depth < path.length; depth++) {
    const next = object.type === 'object' ? findNodeAtLocation(object, [path[depth] as string]) : undefined
    if (!next) break
    object = next
  }
  if (object.type !== 'object')
    throw new NotEditable(
      depth === 0 ? 'is not an object' : `has a ${JSON.stringify(path[depth - 1])} that is not an object`,
    )
  const [key = name, ...rest] = path.slice(depth)
  const isEntry = depth === path.length
  return [placeIn(text, layout, object, key, isEntry ? value : nested(rest, name, value))]
}

/** In front of the first member of an object, after a comment that stands beside its bracket. */
function placeIn(text: string, layout: Layout, object: Node, key: string, value: unknown): Place {
  const [open, close] = [object.offset, object.offset + object.length - 1]
  const first = object.children?.[0]
  if (first && !layout.isBroken(open, close)) {
    const space = /\s/.test(text.charAt(open + 1)) ? ' ' : ''
    const piece = `${space}${JSON.stringify(key)}:${space}${JSON.stringify(value)},`
    return { at: open + 1, piece }
  }
  const indent = layout.indentOfItems(open, first?.offset)
  const member = `${layout.eol}${indent}${JSON.stringify(key)}: ${layout.json(value, indent)}`
  const at = layout.lineEnd(open + 1)
  if (first) return { at, piece: `${member},` }
  return { at, piece: layout.isBroken(at, close) ? member : member + layout.eol + layout.indentAt(open) }
}

function without(text: string, { path }: EntrySection, names: ReadonlySet<string>): string {
  const { value } = parseJsonc(text)
  let section = value
  for (const key of path) section = isJsonObject(section) ? section[key] : undefined
  if (isJsonObject(section)) for (const name of names) delete (section as Record<string, unknown>)[name]
  try {
    return editText(text, value)
  } catch (error) {
    if (error instanceof GatewayError) throw new NotEditable('has a key twice, or cannot be changed in place')
    throw error
  }
}

function snippet({ path }: EntrySection, { name, value }: NamedEntry): string {
  return JSON.stringify(nested(path, name, value), undefined, 2)
}

function nested(path: readonly string[], name: string, value: unknown): unknown {
  return path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), { [name]: value })
}

function isBlank(text: string): boolean {
  return text.length < 65_536 && BLANK.test(text)
}
