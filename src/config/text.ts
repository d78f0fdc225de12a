import { findNodeAtLocation, getNodePath, parse, parseTree } from 'jsonc-parser'
import { Positions, type Position } from './positions.ts'
import { syntaxProblem } from './syntax.ts'
import type { Node, ParseError } from 'jsonc-parser'
import type { Path, Problem } from './problem.ts'

/** Reading JSON with comments, and finding places in it. Loaded only when plain `JSON.parse` is not enough. */

/** Parses JSON with comments and trailing commas. `problem` is the first mistake: what a parser makes of the rest says nothing. */
export function parseJsonc(text: string): { value: unknown; problem: Problem | undefined } {
  const errors: ParseError[] = []
  const value: unknown = parse(text, errors, { allowTrailingComma: true, allowEmptyContent: false })
  return { value, problem: syntaxProblem(text, errors) }
}

/** Finds values and keys of a parsed text again. */
export class Places {
  readonly #positions: Positions
  readonly #root: Node | undefined

  constructor(text: string) {
    this.#positions = new Positions(text)
    this.#root = parseTree(text, [], { allowTrailingComma: true })
  }

  /** Where the value at `path` starts, or its key; `undefined` when there is no such path. */
  find(path: Path, ofKey: boolean): Position | undefined {
    if (!this.#root || path.length === 0) return undefined
    const node = findNodeAtLocation(this.#root, [...path])
    const key = node?.parent?.type === 'property' ? node.parent.children?.[0] : undefined
    const at = ofKey ? (key ?? node) : node
    return at && this.#positions.at(at.offset)
  }

  /** Keys that occur twice in one object: `JSON.parse` would silently keep the last. */
  duplicates(): Problem[] {
    const problems: Problem[] = []
    const visit = (node: Node): void => {
      const seen = new Set<unknown>()
      for (const child of node.children ?? []) {
        const key = child.type === 'property' ? child.children?.[0] : undefined
        if (key && seen.has(key.value)) {
          const { line, column } = this.#positions.at(key.offset)
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
