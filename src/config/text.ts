import {
  createScanner,
  findNodeAtLocation,
  getNodePath,
  parse,
  parseTree,
  printParseErrorCode,
} from 'jsonc-parser'
import type { Node, ParseError } from 'jsonc-parser'
import type { Path, Problem } from './problem.ts'

/** Reading JSON with comments, and finding places in it. Loaded only when plain `JSON.parse` is not enough. */

export interface Position {
  /** Both count from 1. */
  readonly line: number
  readonly column: number
}

/** Parses JSON with comments and trailing commas. `problems` names each mistake and where it is; `value` is what could be read. */
export function parseJsonc(text: string): { value: unknown; problems: Problem[] } {
  const errors: ParseError[] = []
  const value: unknown = parse(text, errors, { allowTrailingComma: true, allowEmptyContent: false })
  const bracket = errors.length === 0 ? undefined : wrongBracket(text)
  // What a parser makes of the rest of the text after a bracket that is missing says nothing.
  if (bracket !== undefined) return { value, problems: [{ path: [], about: 'hidden value', ...bracket }] }
  const problems = errors.map(({ error, offset }): Problem => {
    const { line, column } = positionAt(text, offset)
    const words = printParseErrorCode(error)
      .replace(/([a-z])([A-Z])/g, '$1 $2')
      .toLowerCase()
    return {
      path: [],
      about: 'hidden value',
      cause: `is not JSON at line ${line}, column ${column}: ${words}`,
    }
  })
  return { value, problems }
}

const CLOSING: Readonly<Record<string, string>> = { '{': '}', '[': ']' }

interface Bracket {
  readonly text: string
  readonly at: Position
  /** Of its line. */
  readonly indent: number
}

/** The first bracket that has no counterpart; where the text is indented, the one that was most likely forgotten. */
function wrongBracket(text: string): Pick<Problem, 'cause' | 'fix'> | undefined {
  const scanner = createScanner(text, true)
  const open: Bracket[] = []
  /** Closed by a bracket that stands further left than its own line: it was meant for another one. */
  let suspect: Bracket | undefined
  for (scanner.scan(); scanner.getTokenOffset() < text.length; scanner.scan()) {
    const bracket = text.charAt(scanner.getTokenOffset())
    if (scanner.getTokenLength() !== 1 || !'{}[]'.includes(bracket)) continue
    const at = { line: scanner.getTokenStartLine() + 1, column: scanner.getTokenStartCharacter() + 1 }
    const line = text.slice(scanner.getTokenOffset() - at.column + 1)
    const indent = /^[ \t]*/.exec(line)?.[0].length ?? 0
    if (bracket in CLOSING) open.push({ text: bracket, at, indent })
    else {
      const opened = open.pop()
      if (!opened)
        return { cause: `has ${place(bracket, at)} too much`, fix: 'Remove it, or add what it closes.' }
      if (CLOSING[opened.text] !== bracket) return unclosed(suspect ?? opened, place(bracket, at))
      if (at.column === indent + 1 && indent < opened.indent) suspect ??= opened
    }
  }
  const last = open.at(-1)
  return last && unclosed(suspect ?? last, 'the end of the file')
}

function unclosed({ text, at }: Bracket, before: string): Pick<Problem, 'cause' | 'fix'> {
  return {
    cause: `is not JSON: ${place(text, at)} is not closed before ${before}`,
    fix: `Add the missing "${CLOSING[text]}".`,
  }
}

function place(bracket: string, { line, column }: Position): string {
  return `the "${bracket}" at line ${line}, column ${column}`
}

/** Finds values and keys of a parsed text again. */
export class Places {
  readonly #text: string
  readonly #root: Node | undefined

  constructor(text: string) {
    this.#text = text
    this.#root = parseTree(text, [], { allowTrailingComma: true })
  }

  /** Where the value at `path` starts, or its key; `undefined` when there is no such path. */
  find(path: Path, ofKey: boolean): Position | undefined {
    if (!this.#root || path.length === 0) return undefined
    const node = findNodeAtLocation(this.#root, [...path])
    const key = node?.parent?.type === 'property' ? node.parent.children?.[0] : undefined
    const at = ofKey ? (key ?? node) : node
    return at && positionAt(this.#text, at.offset)
  }

  /** Keys that occur twice in one object: `JSON.parse` would silently keep the last. */
  duplicates(): Problem[] {
    const problems: Problem[] = []
    const visit = (node: Node): void => {
      const seen = new Set<unknown>()
      for (const child of node.children ?? []) {
        const key = child.type === 'property' ? child.children?.[0] : undefined
        if (key && seen.has(key.value)) {
          const { line, column } = positionAt(this.#text, key.offset)
          const cause = `is there twice, the second time at line ${line}, column ${column}`
          problems.push({
            path: getNodePath(key.parent?.children?.[1] ?? key),
            about: 'key',
            cause,
            fix: 'Remove one of the two.',
          })
        }
        if (key) seen.add(key.value)
        visit(child)
      }
    }
    if (this.#root) visit(this.#root)
    return problems
  }
}

function positionAt(text: string, offset: number): Position {
  const before = text.slice(0, offset).split('\n')
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 }
}
