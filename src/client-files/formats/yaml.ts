import { isAlias, isMap, isScalar, isSeq, parseDocument } from 'yaml'
import { isJsonObject } from '../../core/json-object.ts'
import { cutOut, lineBreakOf, lineStart, membersOut, nextLine, wholeLines, type Cut } from './cuts.ts'
import {
  formatOf,
  NotEditable,
  NotReadable,
  type NamedEntry,
  type Place,
  type EntrySection,
  type EntryText,
} from './format.ts'
import { blockLines, flow } from './yaml-text.ts'
import type { Document, Node, Pair, YAMLMap, YAMLSeq } from 'yaml'

/** YAML: one document of block or flow style. */
export const YAML = formatOf({ parse, places, written, without, snippet })

function parse(text: string): unknown {
  const document = documentOf(text)
  try {
    return document.contents === null ? {} : ((document.toJS() as unknown) ?? {})
  } catch {
    throw new NotReadable('has an alias of something that is not there')
  }
}

function documentOf(text: string): Document {
  const document = parseDocument(text, { prettyErrors: true, logLevel: 'error' })
  const [error] = document.errors
  if (error?.code === 'MULTIPLE_DOCS') throw new NotReadable('has several documents')
  if (error) {
    const line = error.linePos?.[0].line ?? 1
    throw new NotReadable(`is not YAML at line ${line} (${error.code})`)
  }
  return document
}

function places(text: string, section: EntrySection, entry: NamedEntry, as?: EntryText): Place[] {
  if (as) return writtenPlaces(text, section, as)
  const { path, kind } = section
  const eol = lineBreakOf(text)
  const { contents } = documentOf(text)
  const item = itemOf(kind, entry)
  let owner: YAMLMap | undefined
  let key: Node | undefined
  let value: unknown = contents
  for (const [depth, name] of path.entries()) {
    if (isAbsent(value)) return absent({ text, eol, owner, key, value: nestedIn(path.slice(depth), item) })
    if (!isMap(value)) throw new NotEditable('has no table where the servers belong')
    const pair: Pair | undefined = pairOf(value, name)
    if (!pair) return inMap(text, eol, value, key, nestedIn(path.slice(depth), item))
    ;[owner, key, value] = [value, pair.key as Node, pair.value]
  }
  if (isAbsent(value)) return absent({ text, eol, owner, key, value: item })
  if (kind === 'table' && isMap(value)) return inMap(text, eol, value, key, item, true)
  if (kind === 'list' && isSeq(value)) return inList(text, eol, value, key, item)
  throw new NotEditable(`has a ${path.join('.')} that cannot be changed`)
}

/** In front of entries that have lines of their own. */
function writtenPlaces(text: string, section: EntrySection, { text: lines }: EntryText): Place[] {
  const { items, isFlow } = sectionOf(text, section)
  const first = items[0]
  return first && !isFlow ? [{ at: lineStart(text, spanOf(first).from), piece: lines }] : []
}

/** An entry in block style, with the comments directly above it. */
function written(text: string, section: EntrySection, name: string): EntryText | undefined {
  const { items, isFlow } = sectionOf(text, section)
  const item = isFlow ? undefined : items.find(candidate => nameOf(candidate) === name)
  if (!item) return undefined
  const { from, to } = lineCut(text, spanOf(item))
  return { text: text.slice(from, to).trimEnd() + lineBreakOf(text), commaAt: 0 }
}

interface Section {
  readonly key: Node | undefined
  readonly items: readonly (Pair | Node)[]
  readonly isFlow: boolean
}

/** The entries; none where there is no such section. */
function sectionOf(text: string, { path, kind }: EntrySection): Section {
  let key: Node | undefined
  let value: unknown = documentOf(text).contents
  for (const name of path) {
    const pair = isMap(value) ? pairOf(value, name) : undefined
    ;[key, value] = [pair?.key as Node | undefined, pair?.value]
  }
  const section = (kind === 'table' && isMap(value)) || (kind === 'list' && isSeq(value)) ? value : undefined
  return { key, items: (section?.items ?? []) as (Pair | Node)[], isFlow: section?.flow === true }
}

function itemOf(kind: EntrySection['kind'], { name, value }: NamedEntry): unknown {
  if (kind === 'table') return { [name]: value }
  return [{ name, ...(isJsonObject(value) ? value : {}) }]
}

function nestedIn(path: readonly string[], item: unknown): unknown {
  return path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), item)
}

interface Absent {
  readonly text: string
  readonly eol: string
  readonly owner: YAMLMap | undefined
  /** The key whose value is missing; `undefined` for a text without any value. */
  readonly key: Node | undefined
  readonly value: unknown
}

function absent({ text, eol, owner, key, value }: Absent): Place[] {
  if (!key || !owner) return [atEnd(text, eol, blockLines(value, '', eol))]
  if (owner.flow) throw new NotEditable('has a key without a value in braces')
  const indent = `${columnOf(text, key)}  `
  return [behindLine(text, eol, key, blockLines(value, indent, eol))]
}

/** In front of the entries of a map, or at the end of the text for a new key at the top. */
function inMap(
  text: string,
  eol: string,
  map: YAMLMap,
  key: Node | undefined,
  value: unknown,
  isSection = false,
): Place[] {
  if (map.flow) return [inBraces(text, map, flow(value).slice(1, -1).trim())]
  const first = map.items[0]?.key as Node | undefined
  if (!first?.range) throw new NotEditable('has a table without keys')
  const indent = columnOf(text, first)
  const lines = blockLines(value, indent, eol)
  const front = { at: lineStart(text, first.range[0]), piece: lines }
  if (isSection && key) return [behindLine(text, eol, key, lines), front]
  return key ? [front] : [atEnd(text, eol, lines), front]
}

function inList(text: string, eol: string, list: YAMLSeq, key: Node | undefined, value: unknown): Place[] {
  if (list.flow) return [inBraces(text, list, flow(value).slice(1, -1).trim())]
  const first = list.items[0] as Node | undefined
  if (!first?.range || !key) throw new NotEditable('has a list that cannot be changed')
  const start = lineStart(text, first.range[0])
  const indent = /^[ ]*(?=-)/.exec(text.slice(start, first.range[0]))?.[0]
  if (indent === undefined) throw new NotEditable('has a list that cannot be changed')
  const lines = blockLines(value, indent, eol)
  return [behindLine(text, eol, key, lines), { at: start, piece: lines }]
}

function inBraces(text: string, { range, items }: YAMLMap | YAMLSeq, member: string): Place {
  if (!range) throw new NotEditable('cannot be changed in place')
  const at = range[0] + 1
  if (items.length === 0) return { at, piece: member }
  const space = /\s/.test(text.charAt(at)) ? ' ' : ''
  return { at, piece: `${space}${member},` }
}

/** On the lines behind that of a key, whose value begins there or is missing. */
function behindLine(text: string, eol: string, key: Node, lines: string): Place {
  const at = nextLine(text, key.range?.[1] ?? 0)
  return text.charAt(at - 1) === '\n'
    ? { at, piece: lines }
    : { at, piece: eol + lines.slice(0, -eol.length) }
}

function atEnd(text: string, eol: string, lines: string): Place {
  const isOpen = text !== '' && !text.endsWith('\n')
  return { at: text.length, piece: isOpen ? eol + lines.slice(0, -eol.length) : lines }
}

/** The indentation of a key that begins its line. */
function columnOf(text: string, { range }: Node): string {
  const at = range?.[0] ?? 0
  const before = text.slice(lineStart(text, at), at)
  if (/\S/.test(before)) throw new NotEditable('has keys that do not begin their line')
  return before
}

function without(text: string, section: EntrySection, names: ReadonlySet<string>): string {
  const { key, items, isFlow } = sectionOf(text, section)
  if (!key?.range || items.length === 0) throw new NotEditable('cannot be changed in place')
  const spans = items.map(item => spanOf(item))
  const isGone = (at: number): boolean => names.has(nameOf(items[at] as Pair | Node) ?? '')
  if (isFlow) return cutOut(text, membersOut(spans, isGone))
  const cuts: Cut[] = spans.flatMap((span, at) => (isGone(at) ? [lineCut(text, span)] : []))
  const rest = cutOut(text, cuts)
  if (items.some((_, at) => !isGone(at))) return rest
  // A key without a value would be null.
  const behind = text.indexOf(':', key.range[1]) + 1
  const at = behind + (/^(?:[ \t]+[&!]\S+)*/.exec(rest.slice(behind, behind + 1000))?.[0].length ?? 0)
  return `${rest.slice(0, at)} ${section.kind === 'table' ? '{}' : '[]'}${rest.slice(at)}`
}

function lineCut(text: string, { from, to }: Cut): Cut {
  if (!/^[ ]*(?:- *)?$/.test(text.slice(lineStart(text, from), from)))
    throw new NotEditable('has entries that do not begin their line')
  const start = lineStart(text, from)
  const indent = /^[ ]*/.exec(text.slice(start, from))?.[0].length ?? 0
  return wholeLines(text, start + indent, to)
}

function nameOf(item: Pair | Node): string | undefined {
  if (isMap(item)) return String(item.get('name'))
  const key = 'key' in item ? item.key : undefined
  return isScalar(key) ? String(key.value) : undefined
}

function spanOf(item: Pair | Node): Cut {
  const first = 'key' in item ? (item.key as Node) : item
  return { from: first.range?.[0] ?? 0, to: endOf('key' in item ? (item.value ?? item.key) : item) }
}

/** End of the last character of a value; comments and blank lines behind it are not a part of it. */
function endOf(node: unknown): number {
  if ((isMap(node) || isSeq(node)) && !node.flow && node.items.length > 0) {
    const last = node.items.at(-1) as Pair | Node
    return spanOf(last).to
  }
  if (isScalar(node) && (node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED'))
    return Math.max((node.range?.[1] ?? 1) - 1, 0)
  return isScalar(node) || isAlias(node) || isMap(node) || isSeq(node) ? (node.range?.[1] ?? 0) : 0
}

function pairOf(map: YAMLMap, name: string): Pair | undefined {
  return map.items.find(({ key }) => isScalar(key) && key.value === name)
}

/** Nothing is written, rather than the word null. */
function isAbsent(value: unknown): boolean {
  return value === null || value === undefined || (isScalar(value) && value.value === null && !value.source)
}

function snippet({ path, kind }: EntrySection, entry: NamedEntry): string {
  return blockLines(nestedIn(path, itemOf(kind, entry)), '', '\n').trimEnd()
}
