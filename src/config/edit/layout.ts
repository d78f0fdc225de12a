import { createScanner } from 'jsonc-parser'

/** `SyntaxKind` of the scanner, which is a constant enumeration and so not available at run time. */
const COMMA = 5
const LINE_COMMENT = 12
const BLOCK_COMMENT = 13
const LINE_BREAK = 14
const BLANK = 15

/** The layout of a text of JSON with comments: indentation, line breaks, and the text between its values. */
export class Layout {
  readonly eol: string
  readonly #text: string
  readonly #unit: string

  constructor(text: string) {
    this.#text = text
    this.eol = /\r\n|\n/.exec(text)?.[0] ?? '\n'
    this.#unit = /\n([ \t]+)\S/.exec(text)?.[1] ?? '  '
  }

  /** The text of a value whose first line has this indentation. */
  json(value: unknown, indent: string): string {
    const text = JSON.stringify(value, undefined, this.#unit) ?? 'null'
    return text.replaceAll('\n', this.eol + indent)
  }

  /** The indentation of the line of an offset. */
  indentAt(offset: number): string {
    const start = this.#text.lastIndexOf('\n', offset - 1) + 1
    return /^[ \t]*/.exec(this.#text.slice(start, offset))?.[0] ?? ''
  }

  /** The indentation of items in an object or a list at `open`. `first`: offset of its first item. */
  indentOfItems(open: number, first: number | undefined): string {
    if (first !== undefined && this.isBroken(open, first)) return this.indentAt(first)
    return this.indentAt(open) + this.#unit
  }

  /** Whether there is a line break between two offsets. */
  isBroken(from: number, to: number): boolean {
    const at = this.#text.indexOf('\n', from)
    return at >= 0 && at < to
  }

  /** Offset of the comma after a value, if there is one before `end`. */
  commaAfter(offset: number, end: number): number | undefined {
    for (const { kind, from } of this.#tokens(offset, end)) {
      if (kind === COMMA) return from
      if (!isTrivia(kind)) return undefined
    }
    return undefined
  }

  /** End of the comments that follow an offset on its line. */
  lineEnd(offset: number): number {
    let end = offset
    for (const { kind, to } of this.#tokens(offset, this.#text.length)) {
      if (kind === LINE_COMMENT) return to
      if (kind === BLOCK_COMMENT && !this.isBroken(offset, to)) end = to
      else if (kind === LINE_BREAK) return end
      else if (kind !== BLANK) break
    }
    // The comment belongs to the next value on the line.
    return end > offset && this.#isNext(end) ? offset : end
  }

  /**
   * The text of an item with the comments that belong to it: those directly above it, without a blank line between, and
   * those beside it. Where it has lines of its own, the line break in front of them is a part of it.
   * @param from end of the line of the previous item, or of that of the bracket
   * @param offset where the item begins
   * @param to end of the item, with its comma and the comments beside it
   */
  itemPiece(from: number, offset: number, to: number): { readonly from: number; readonly to: number } {
    let start: number | undefined
    let isBlank = true
    for (const token of this.#tokens(from, offset)) {
      if (token.kind === LINE_BREAK) {
        if (start === undefined || isBlank) start = token.from
        isBlank = true
      } else if (token.kind !== BLANK) isBlank = false
    }
    if (start === undefined) return { from, to }
    const isFollowed = /^[ \t]*\S/.test(this.#text.slice(to, to + 200))
    // What follows takes the place of the item on its line.
    return { from: isFollowed ? start + leading(this.#text, start) : start, to }
  }

  /** End of the last token between two offsets, comments included; `from` when there is none. */
  lastOf(from: number, to: number): number {
    let end = from
    for (const token of this.#tokens(from, to))
      if (token.kind !== LINE_BREAK && token.kind !== BLANK) end = Math.min(token.to, to)
    return end
  }

  #isNext(offset: number): boolean {
    return /^[ \t]*[^\s\]}]/.test(this.#text.slice(offset, offset + 200))
  }

  *#tokens(
    offset: number,
    end: number,
  ): Generator<{ readonly kind: number; readonly from: number; readonly to: number }> {
    const scanner = createScanner(this.#text, false)
    scanner.setPosition(offset)
    for (;;) {
      const kind: number = scanner.scan()
      const from = scanner.getTokenOffset()
      const to = from + scanner.getTokenLength()
      if (from >= end || to === from) return
      yield { kind, from, to }
    }
  }
}

/** Number of blanks and line breaks at an offset. */
function leading(text: string, offset: number): number {
  return text.slice(offset).search(/\S/)
}

function isTrivia(kind: number): boolean {
  return kind === LINE_COMMENT || kind === BLOCK_COMMENT || kind === LINE_BREAK || kind === BLANK
}
