import { parse, parseTree, type Node, type ParseError } from 'jsonc-parser'
import { GatewayError } from '../../core/errors.ts'
import { isJsonObject } from '../../core/json-object.ts'
import { byteOrderMark, unmarked } from '../load/byte-order-mark.ts'
import { isSame } from '../source/differences.ts'
import { Layout } from './layout.ts'

/** A replacement of a piece of a text. */
export interface TextEdit {
  readonly from: number
  readonly to: number
  readonly text: string
}

/**
 * Edits a text of JSON with comments so that its value becomes `after`. Unchanged parts keep their formatting and
 * comments. A comment beside a member, or directly above it, goes with the member; one across a blank line stays.
 * Parses once, regardless of the number of changes.
 * @param marked the text; a byte order mark stays
 * @throws GatewayError `config` for a text that cannot be edited, for example because of a duplicate key
 */
export function editText(marked: string, after: unknown): string {
  const text = unmarked(marked)
  const root = parseTree(text, [], { allowTrailingComma: true })
  if (!root) throw notEditable()
  const edits = new Edits(text).of(root, after)
  const edited = applied(text, edits)
  const errors: ParseError[] = []
  const said: unknown = parse(edited, errors, { allowTrailingComma: true })
  if (errors.length > 0 || !isSame(said, after)) throw notEditable()
  return byteOrderMark(marked) + edited
}

function notEditable(): GatewayError {
  return new GatewayError(
    'config',
    'The text of the file cannot be changed in place. Look for keys that are there twice, or edit it by hand.',
  )
}

function applied(text: string, edits: readonly TextEdit[]): string {
  // From the end; edits at the same offset keep their order.
  const fromEnd = edits.toReversed().sort((a, b) => b.from - a.from || b.to - a.to)
  let edited = text
  for (const { from, to, text: by } of fromEnd) edited = edited.slice(0, from) + by + edited.slice(to)
  return edited
}

/** One item of an object or a list that is kept, removed or added. */
interface Item {
  readonly node: Node
  /** The value; for a list, the node itself. */
  readonly value: Node | undefined
}

class Edits {
  readonly #layout: Layout
  readonly #edits: TextEdit[] = []

  constructor(text: string) {
    this.#layout = new Layout(text)
  }

  of(root: Node, after: unknown): readonly TextEdit[] {
    this.#change(root, after)
    return this.#edits
  }

  #change(node: Node, after: unknown): void {
    if (node.type === 'object' && isJsonObject(after)) this.#changeObject(node, after)
    else if (node.type === 'array' && Array.isArray(after)) this.#changeList(node, after)
    else if (!isSame(valueOf(node), after))
      this.#put(
        node.offset,
        node.offset + node.length,
        this.#layout.json(after, this.#layout.indentAt(node.offset)),
      )
  }

  #changeObject(node: Node, after: Readonly<Record<string, unknown>>): void {
    const items = (node.children ?? []).map(child => ({ node: child, value: child.children?.[1] }))
    const names = items.map(item => String(item.node.children?.[0]?.value))
    const gone = new Set<number>()
    items.forEach(({ value }, at) => {
      const name = names[at] ?? ''
      if (!Object.hasOwn(after, name) || after[name] === undefined) gone.add(at)
      else if (value && names.lastIndexOf(name) === at) this.#change(value, after[name])
    })
    const added = Object.entries(after).filter(
      ([name, value]) => value !== undefined && !names.includes(name),
    )
    const texts = added.map(
      ([name, value]) =>
        (indent: string) =>
          `${JSON.stringify(name)}: ${this.#layout.json(value, indent)}`,
    )
    this.#rearrange(node, items, gone, texts, items.length)
  }

  #changeList(node: Node, after: readonly unknown[]): void {
    const items = (node.children ?? []).map(child => ({ node: child, value: child }))
    const before = items.map(({ node: child }) => valueOf(child))
    let first = 0
    while (first < before.length && first < after.length && isSame(before[first], after[first])) first++
    let last = 0
    const most = Math.min(before.length, after.length) - first
    while (last < most && isSame(before[before.length - 1 - last], after[after.length - 1 - last])) last++
    const [old, fresh] = [items.slice(first, items.length - last), after.slice(first, after.length - last)]
    if (old.length === fresh.length)
      return old.forEach(({ node: child }, at) => this.#change(child, fresh[at]))
    const gone = new Set(old.map((_, at) => first + at))
    const texts = fresh.map(value => (indent: string) => this.#layout.json(value, indent))
    this.#rearrange(node, items, gone, texts, first + old.length)
  }

  /** Removes items, and inserts new ones before the item `at`, or at the end. */
  #rearrange(
    node: Node,
    items: readonly Item[],
    gone: ReadonlySet<number>,
    texts: readonly ((indent: string) => string)[],
    at: number,
  ): void {
    if (gone.size === 0 && texts.length === 0) return
    const layout = this.#layout
    const open = node.offset + 1
    const close = node.offset + node.length - 1
    // An item ends with its own line.
    const spans = items.map(item => {
      const end = item.node.offset + item.node.length
      const comma = layout.commaAfter(end, close)
      return { end, comma, full: layout.lineEnd(comma === undefined ? end : comma + 1) }
    })
    const startOf = (index: number): number => spans[index - 1]?.full ?? layout.lineEnd(open)
    for (const index of gone) {
      const offset = items[index]?.node.offset ?? close
      const { from, to } = layout.itemPiece(startOf(index), offset, spans[index]?.full ?? close)
      this.#put(from, to, '')
    }

    const kept = items.map((_, index) => index).filter(index => !gone.has(index))
    const lastKept = kept.at(-1)
    const hadTrailingComma = spans.at(-1)?.comma !== undefined
    const atEnd = at >= items.length || kept.every(index => index < at)
    const isLine = items.length > 0 && !layout.isBroken(node.offset, close)
    const indent = layout.indentOfItems(node.offset, items[0]?.node.offset)
    const separator = isLine ? ' ' : layout.eol + indent
    const made = texts.map(text => text(indent))

    if (lastKept !== undefined) {
      const span = spans[lastKept]
      const needsComma = (made.length > 0 && atEnd) || hadTrailingComma
      if (span && needsComma && span.comma === undefined) this.#put(span.end, span.end, ',')
      if (span && !needsComma && span.comma !== undefined) this.#put(span.comma, span.comma + 1, '')
    }
    if (made.length === 0) return
    if (!atEnd) {
      const [before, between] = isLine && at === 0 ? ['', ' '] : [separator, '']
      const list = made.map(text => `${before}${text},${between}`).join('')
      return this.#put(startOf(at), startOf(at), list)
    }
    const end = layout.lastOf(open, close)
    const list = made.map(text => separator + text).join(',') + (hadTrailingComma ? ',' : '')
    const closing =
      items.length === 0 && !layout.isBroken(end, close) ? layout.eol + layout.indentAt(node.offset) : ''
    this.#put(end, end, list + closing)
  }

  #put(from: number, to: number, text: string): void {
    if (from !== to || text !== '') this.#edits.push({ from, to, text })
  }
}

function valueOf(node: Node): unknown {
  if (node.type === 'array') return (node.children ?? []).map(valueOf)
  if (node.type !== 'object') return node.value as unknown
  return Object.fromEntries(
    (node.children ?? []).map(({ children }) => [
      String(children?.[0]?.value),
      children?.[1] && valueOf(children[1]),
    ]),
  )
}
