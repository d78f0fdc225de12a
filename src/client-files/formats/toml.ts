import { getStaticTOMLValue, parseTOML, type AST } from 'toml-eslint-parser'
import { isJsonObject } from '../../core/json-object.ts'
import { cutOut, lineBreakOf, lineStart, membersOut, wholeLines, type Cut } from './cuts.ts'
import {
  formatOf,
  NotEditable,
  NotReadable,
  type NamedEntry,
  type Place,
  type EntrySection,
  type EntryText,
} from './format.ts'

/** TOML 1.0. Entries are written as tables of their own at the end, or into an inline table that is there. */
export const TOML = formatOf({ parse, places, written, without, snippet })

function parse(text: string): unknown {
  return getStaticTOMLValue(programOf(text))
}

function programOf(text: string): AST.TOMLProgram {
  try {
    return parseTOML(text, { tomlVersion: '1.0' })
  } catch (error) {
    const { lineNumber, message } = error as { lineNumber?: number; message: string }
    if (lineNumber === undefined) throw error
    throw new NotReadable(`is not TOML at line ${lineNumber}: ${message}`)
  }
}

function places(
  text: string,
  { path, kind }: EntrySection,
  { name, value }: NamedEntry,
  as?: EntryText,
): Place[] {
  if (kind === 'list') throw new NotEditable('has its servers in a list')
  const { body } = programOf(text).body[0]
  for (const node of body) {
    if (node.type !== 'TOMLKeyValue' || !isSamePath(namesOf(node.key), path)) continue
    if (node.value.type !== 'TOMLInlineTable')
      throw new NotEditable(`has a ${path.join('.')} that is not a table`)
    if (as) return []
    const member = `${keyOf(name)} = ${inline(value)}`
    const at = node.value.range[0] + 1
    return [{ at, piece: node.value.body.length > 0 ? ` ${member},` : ` ${member} ` }]
  }
  const eol = lineBreakOf(text)
  const ends = text === '' || text.endsWith('\n')
  const isBlank = text === '' || /(?:^|\n)[ \t]*\r?\n$/.test(text)
  const lines = as?.text ?? table(path, name, value, eol)
  return [{ at: text.length, piece: (ends ? '' : eol) + (isBlank ? '' : eol) + lines }]
}

/** The tables of an entry, each with the comments directly above it. */
function written(text: string, { path }: EntrySection, name: string): EntryText | undefined {
  const eol = lineBreakOf(text)
  const tables = programOf(text).body[0].body.flatMap(node => {
    const isOwn =
      node.type === 'TOMLTable' && isSamePath(node.resolvedKey.slice(0, path.length + 1), [...path, name])
    const { from, to } = wholeLines(text, ...node.range)
    return isOwn ? [text.slice(from, to).trimEnd() + eol] : []
  })
  return tables.length === 0 ? undefined : { text: tables.join(eol), commaAt: 0 }
}

function without(text: string, { path }: EntrySection, names: ReadonlySet<string>): string {
  const { body } = programOf(text).body[0]
  /** Whether a key leads into one of the entries. */
  const isGone = (keys: readonly (string | number)[]): boolean =>
    keys.length > path.length &&
    path.every((part, at) => keys[at] === part) &&
    names.has(String(keys[path.length]))
  const cuts: Cut[] = []
  const cutMembers = (table: AST.TOMLInlineTable, base: readonly (string | number)[]): void => {
    const spans = table.body.map(({ range: [from, to] }) => ({ from, to }))
    cuts.push(
      ...membersOut(spans, at => isGone([...base, ...namesOf((table.body[at] as AST.TOMLKeyValue).key)])),
    )
  }
  const cutPair = (pair: AST.TOMLKeyValue, base: readonly (string | number)[]): void => {
    const keys = [...base, ...namesOf(pair.key)]
    if (isGone(keys)) cuts.push(wholeLines(text, ...pair.range))
    else if (pair.value.type === 'TOMLInlineTable' && isSamePath(keys, path)) cutMembers(pair.value, keys)
  }
  for (const node of body) {
    if (node.type === 'TOMLKeyValue') cutPair(node, [])
    else if (isGone(node.resolvedKey)) cuts.push(withBlankLines(text, wholeLines(text, ...node.range)))
    else for (const pair of node.body) cutPair(pair, node.resolvedKey)
  }
  return cutOut(text, cuts)
}

/** With the blank lines behind it; at the end of the text, with those in front of it. */
function withBlankLines(text: string, { from, to }: Cut): Cut {
  const behind = /^(?:[ \t]*\r?\n)*/.exec(text.slice(to, to + 10_000))?.[0].length ?? 0
  if (to + behind < text.length) return { from, to: to + behind }
  let start = from
  while (start > 0) {
    const above = lineStart(text, start - 1)
    if (text.slice(above, start).trim() !== '') break
    start = above
  }
  return { from: start, to: text.length }
}

function snippet({ path }: EntrySection, { name, value }: NamedEntry): string {
  return table(path, name, value, '\n').trimEnd()
}

function table(path: readonly string[], name: string, value: unknown, eol: string): string {
  const head = `[${[...path, name].map(keyOf).join('.')}]${eol}`
  if (!isJsonObject(value)) throw new NotEditable('takes objects only')
  return (
    head +
    Object.entries(value)
      .map(([key, child]) => `${keyOf(key)} = ${inline(child)}${eol}`)
      .join('')
  )
}

function inline(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inline).join(', ')}]`
  if (isJsonObject(value)) {
    const pairs = Object.entries(value).map(([key, child]) => `${keyOf(key)} = ${inline(child)}`)
    return pairs.length === 0 ? '{}' : `{ ${pairs.join(', ')} }`
  }
  if (value === null || value === undefined) throw new NotEditable('takes no null')
  return typeof value === 'string' ? quoted(value) : String(value as number | boolean)
}

/** As in JSON; TOML also takes no DEL. */
function quoted(text: string): string {
  return JSON.stringify(text).replaceAll('\u007F', '\\u007F')
}

function keyOf(name: string): string {
  return /^[A-Za-z0-9_-]+$/.test(name) ? name : quoted(name)
}

function namesOf(key: AST.TOMLKey): string[] {
  return key.keys.map(part => (part.type === 'TOMLBare' ? part.name : part.value))
}

function isSamePath(keys: readonly (string | number)[], path: readonly string[]): boolean {
  return keys.length === path.length && keys.every((key, at) => key === path[at])
}
