import { findNodeAtLocation, parseTree, type Node } from 'jsonc-parser'
import { Layout } from '../../config/edit/layout.ts'
import { editText } from '../../config/edit/edit-text.ts'
import { isNestedTooDeep } from '../../config/load/nesting.ts'
import { parseJsonc } from '../../config/load/source-text.ts'
import { GatewayError } from '../../core/errors.ts'
import {
  formatOf,
  NotEditable,
  NotReadable,
  type NamedEntry,
  type Place,
  type EntrySection,
  type EntryText,
} from './format.ts'

/** JSON, with comments and trailing commas. */
export const JSONC = formatOf({ parse, places, written, without, snippet })

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

function places(
  text: string,
  { path, kind }: EntrySection,
  { name, value }: NamedEntry,
  as?: EntryText,
): Place[] {
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
  if (as) return isEntry ? [writtenIn(layout, object, as)] : []
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
  return writtenIn(layout, object, { text: member, commaAt: member.length })
}

/** A member with lines of its own, in front of the first one. */
function writtenIn(layout: Layout, object: Node, { text, commaAt }: EntryText): Place {
  const [open, close] = [object.offset, object.offset + object.length - 1]
  const first = object.children?.[0]
  const at = layout.lineEnd(open + 1)
  const member = first ? `${text.slice(0, commaAt)},${text.slice(commaAt)}` : text
  const isEnded = layout.isBroken(at, first ? first.offset : close)
  return { at, piece: isEnded ? member : member + layout.eol + layout.indentAt(open) }
}

function written(text: string, { path }: EntrySection, name: string): EntryText | undefined {
  const root = parseTree(text, [], { allowTrailingComma: true })
  const object = root && findNodeAtLocation(root, [...path])
  const members = object?.children ?? []
  const index = members.findIndex(({ children }) => children?.[0]?.value === name)
  const member = members[index]
  if (object?.type !== 'object' || !member) return undefined
  const layout = new Layout(text)
  const close = object.offset + object.length - 1
  const endOf = ({ offset, length }: Node): { end: number; comma: number | undefined; full: number } => {
    const end = offset + length
    const comma = layout.commaAfter(end, close)
    return { end, comma, full: layout.lineEnd(comma === undefined ? end : comma + 1) }
  }
  const before = members[index - 1]
  const { comma, end, full } = endOf(member)
  const start = before ? endOf(before).full : layout.lineEnd(object.offset + 1)
  const { from } = layout.itemPiece(start, member.offset, full)
  if (!layout.isBroken(from, member.offset)) return undefined
  const behind = text.slice(end, comma ?? end) + text.slice(comma === undefined ? end : comma + 1, full)
  return { text: text.slice(from, end) + behind, commaAt: end - from }
}

function without(text: string, _: EntrySection, _names: ReadonlySet<string>, expected: unknown): string {
  try {
    return editText(text, expected)
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
