import { findNodeAtLocation, getNodePath, parse, parseTree, printParseErrorCode } from 'jsonc-parser'
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
